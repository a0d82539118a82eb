package codec

import (
	"bytes"
	"compress/gzip"
	"errors"
	"math/rand/v2"
	"mime"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func key(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func aesGCM(t testing.TB, current string, keys map[string][]byte) Wrapper {
	t.Helper()
	w, err := AESGCM(current, keys)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func newCodec(t testing.TB, c Config) *Codec {
	t.Helper()
	k, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func seal(t testing.TB, c *Codec, p Payload) Payload {
	t.Helper()
	sealed, err := c.Seal(p, c.Layers())
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

var long = strings.Repeat("words that repeat ", 200)

func TestSealedPayloadNamesItsLayers(t *testing.T) {
	c := newCodec(t, Config{Wrappers: []Wrapper{Gzip(0, 0), aesGCM(t, "k1", map[string][]byte{"k1": key(1)})}})
	p := encode(t, MsgPack, long)
	sealed := seal(t, c, p)
	if want := Type("application/msgpack; enc=gzip+aes-gcm.k1"); sealed.Type != want {
		t.Errorf("type = %q, want %q", sealed.Type, want)
	}
	if _, params, err := mime.ParseMediaType(string(sealed.Type)); err != nil || params["enc"] != "gzip+aes-gcm.k1" {
		t.Errorf("as a media type: %v, %v", params, err)
	}
	if got := sealed.Type.Layers(); !slices.Equal(got, []string{"gzip", "aes-gcm"}) {
		t.Errorf("layers = %q", got)
	}
	if bytes.Contains(sealed.Data, []byte("words")) || len(sealed.Data) >= len(p.Data) {
		t.Errorf("%d bytes of %d, or text in them", len(sealed.Data), len(p.Data))
	}
	opened, err := c.Open(sealed)
	if err != nil || !opened.Equal(p) {
		t.Errorf("opened: %s, %v, want the original payload", opened.Type, err)
	}
	if err := sealed.Decode(new(string)); err == nil || !strings.Contains(err.Error(), "layers") {
		t.Errorf("decoded without opening: %v", err)
	}
}

func TestNamesChooseTheLayersAndTheCodecTheirOrder(t *testing.T) {
	c := newCodec(t, Config{Apply: []string{}, Wrappers: []Wrapper{
		Gzip(1, 0), aesGCM(t, "k1", map[string][]byte{"k1": key(1)})}})
	p := encode(t, JSON, long)
	for _, x := range []struct {
		names []string
		want  Type
	}{
		{nil, "application/json"},
		{c.Layers(), "application/json"},
		{[]string{"aes-gcm", "gzip", "aes-gcm"}, "application/json; enc=gzip+aes-gcm.k1"},
		{[]string{"gzip"}, "application/json; enc=gzip"},
	} {
		got, err := c.Seal(p, x.names)
		if err != nil || got.Type != x.want {
			t.Errorf("sealed by %q: %q, %v, want %q", x.names, got.Type, err, x.want)
		}
	}
	_, err := c.Seal(p, []string{"zstd"})
	missing := (*KeyError)(nil)
	if !errors.As(err, &missing) || missing.Layer != "zstd" || !errors.Is(err, ErrKey) {
		t.Errorf("sealed by a wrapper that the codec lacks: %v", err)
	}
	if p, err := c.Seal(Payload{}, []string{"aes-gcm"}); err != nil || !p.IsZero() || p.Type != "" {
		t.Errorf("the zero payload was sealed as %q, %v", p.Type, err)
	}
	if _, err := c.Seal(seal(t, newCodec(t, Config{Wrappers: []Wrapper{Gzip(1, 0)}}), p), nil); err == nil {
		t.Error("a payload with a layer was sealed again")
	}
}

func TestNilCodecReadsCompressedPayloads(t *testing.T) {
	p := encode(t, MsgPack, long)
	sealed, err := Gzip(0, 0).Seal(p)
	if err != nil {
		t.Fatal(err)
	}
	c := (*Codec)(nil)
	if got, err := c.Open(sealed); err != nil || !got.Equal(p) {
		t.Errorf("opened: %v", err)
	}
	if c.Type() != MsgPack || len(c.Layers()) != 0 {
		t.Errorf("writes %s in %q", c.Type(), c.Layers())
	}
}

func TestInvalidConfigIsRefused(t *testing.T) {
	aes := aesGCM(t, "k1", map[string][]byte{"k1": key(1)})
	for what, c := range map[string]Config{
		"type":         {Type: "text/plain"},
		"two wrappers": {Wrappers: []Wrapper{aes, aes}},
		"is nil":       {Wrappers: []Wrapper{nil}},
		"zstd":         {Wrappers: []Wrapper{aes}, Apply: []string{"zstd"}},
	} {
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, k := range map[string]struct {
		current string
		keys    map[string][]byte
	}{
		`"k2" is not among`: {"k2", map[string][]byte{"k1": key(1)}},
		"key size":          {"k1", map[string][]byte{"k1": key(1)[:31]}},
		`'.' is not one of`: {"k.1", map[string][]byte{"k.1": key(1)}},
		"want 1 to 64":      {"", map[string][]byte{"": key(1)}},
	} {
		if _, err := AESGCM(k.current, k.keys); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestRotation rotates the key many times: the codec seals with the current key, opens
// payloads of each old key that it still has, and names a missing key in its error.
func TestRotation(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	keys := map[string][]byte{}
	var sealed []Payload
	for n := range 20 {
		current := strings.Repeat("k", n+1)
		keys[current] = key(byte(r.IntN(256)))
		c := newCodec(t, Config{Wrappers: []Wrapper{Gzip(0, 0), aesGCM(t, current, keys)}})
		sealed = append(sealed, seal(t, c, encode(t, MsgPack, n)))
		if _, layer := sealed[n].Type.Unwrap(); layer != "aes-gcm."+current {
			t.Fatalf("layer = %s, want the current key %s", layer, current)
		}
		for i, p := range sealed {
			var got int
			opened, err := c.Open(p)
			if err == nil {
				err = opened.Decode(&got)
			}
			if err != nil || got != i {
				t.Fatalf("after %d rotations payload %d is %d, %v", n, i, got, err)
			}
		}
	}
	delete(keys, "kkk")
	_, err := newCodec(t, Config{Wrappers: []Wrapper{aesGCM(t, "k", keys)}}).Open(sealed[2])
	missing := (*KeyError)(nil)
	if !errors.As(err, &missing) || missing.Key != "kkk" || !errors.Is(err, ErrKey) {
		t.Errorf("without its key: %v, want an ErrKey that names it", err)
	}
}

func TestErrorOfAWrongKeyNamesItsID(t *testing.T) {
	p := seal(t, newCodec(t, Config{Wrappers: []Wrapper{aesGCM(t, "k1", map[string][]byte{"k1": key(1)})}}), encode(t, MsgPack, 1))
	_, err := newCodec(t, Config{Wrappers: []Wrapper{aesGCM(t, "k1", map[string][]byte{"k1": key(2)})}}).Open(p)
	if !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), `key "k1"`) {
		t.Errorf("error = %v, want ErrKey and the key's id", err)
	}
}

func TestTamperingIsDetected(t *testing.T) {
	keys := map[string][]byte{"k1": key(1), "k2": key(1)}
	c := newCodec(t, Config{Wrappers: []Wrapper{Gzip(1, 0), aesGCM(t, "k1", keys)}})
	p := seal(t, c, encode(t, MsgPack, long))
	for i := range p.Data {
		bad := Payload{Type: p.Type, Data: bytes.Clone(p.Data)}
		bad.Data[i] ^= 1
		if _, err := c.Open(bad); err == nil {
			t.Fatalf("a change of byte %d of %d was not noticed", i, len(p.Data))
		}
	}
	for n := range p.Data {
		if _, err := c.Open(Payload{Type: p.Type, Data: p.Data[:n]}); err == nil {
			t.Fatalf("a payload cut to %d bytes of %d was opened", n, len(p.Data))
		}
	}
	// The encryption authenticates the type too: the encoding, the inner layers, and the id
	// of the key, even if two ids have the same key.
	for _, other := range []Type{
		"application/json; enc=gzip+aes-gcm.k1", "application/msgpack; enc=aes-gcm.k1", "application/msgpack; enc=gzip+aes-gcm.k2",
	} {
		if _, err := c.Open(Payload{Type: other, Data: p.Data}); err == nil {
			t.Errorf("opened with the changed type %s", other)
		}
	}
	if seal(t, c, encode(t, MsgPack, long)).Equal(p) {
		t.Error("the same nonce was used twice")
	}
}

func TestBombIsRefusedAtTheLimit(t *testing.T) {
	const most = 1 << 20
	big := Payload{Type: MsgPack, Data: make([]byte, 20*most)}
	bomb, err := Gzip(1, len(big.Data)).Seal(big)
	if err != nil || len(bomb.Data) > most/4 {
		t.Fatalf("%d bytes, %v", len(bomb.Data), err)
	}
	c := newCodec(t, Config{Wrappers: []Wrapper{Gzip(1, most)}})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = c.Open(bomb)
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrUnzipped) || errors.Is(err, ErrKey) {
		t.Errorf("error = %v, want ErrUnzipped", err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 8*most {
		t.Errorf("refusing it allocated %d bytes", took)
	}
	exact, err := Gzip(1, 0).Seal(Payload{Type: MsgPack, Data: make([]byte, most)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Open(exact); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if p, err := Gzip(1, most).Seal(big); err != nil || p.Type.Wrapped() {
		t.Errorf("a payload that it could not open again was sealed as %s, %v", p.Type, err)
	}
	deep := encode(t, MsgPack, 1)
	for range maxLayers + 1 {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		if _, err := w.Write(deep.Data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		deep = Payload{Type: deep.Type.Wrap("gzip"), Data: b.Bytes()}
	}
	if _, err := c.Open(deep); err == nil || !strings.Contains(err.Error(), "more than 8 layers") {
		t.Errorf("nested: %v", err)
	}
}

func TestGzipLeavesPayloadsThatWouldNotShrink(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 4096)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	for _, p := range []Payload{{MsgPack, noise}, encode(t, MsgPack, "short")} {
		got, err := Gzip(0, 0).Seal(p)
		if err != nil || !got.Equal(p) {
			t.Errorf("%d bytes became %d of %s, %v", len(p.Data), len(got.Data), got.Type, err)
		}
	}
}

func TestSameValueInAnotherEncodingIsTheSame(t *testing.T) {
	v := something()
	p, q := encode(t, MsgPack, v), encode(t, JSON, v)
	spaced := Payload{Type: JSON, Data: bytes.ReplaceAll(q.Data, []byte(`,"`), []byte(` , "`))}
	v.Int++
	other := encode(t, JSON, v)
	if !p.Same(q) || !q.Same(p) || !p.Same(p) || !p.Same(spaced) {
		t.Error("equal values are not the same")
	}
	if p.Same(other) || other.Same(p) || p.Same(Payload{}) || (Payload{}).Same(p) || p.Same(Payload{Type: JSON, Data: []byte("{")}) {
		t.Error("different values are the same")
	}
}

func FuzzSealedComesBack(f *testing.F) {
	f.Add([]byte("text"), uint8(3), 1)
	f.Add(bytes.Repeat([]byte("a"), 5000), uint8(1), 10)
	c := newCodec(f, Config{Wrappers: []Wrapper{Gzip(1, 0), aesGCM(f, "k1", map[string][]byte{"k1": key(1)})}})
	f.Fuzz(func(t *testing.T, data []byte, which uint8, flip int) {
		var names []string
		for i, name := range []string{"gzip", "aes-gcm"} {
			if which&(1<<i) != 0 {
				names = append(names, name)
			}
		}
		p := Payload{Type: MsgPack, Data: data}
		sealed, err := c.Seal(p, names)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := c.Open(sealed)
		if err != nil || !opened.Equal(p) {
			t.Fatalf("opened: %s of %d bytes, %v, want %s of %d", opened.Type, len(opened.Data), err, p.Type, len(data))
		}
		if slices.Contains(names, "aes-gcm") && len(data) > 0 {
			sealed.Data[uint(flip)%uint(len(sealed.Data))] ^= 0x10
			if _, err := c.Open(sealed); err == nil {
				t.Fatal("a flipped bit went unnoticed")
			}
		}
	})
}

func FuzzOpenGarbage(f *testing.F) {
	const most = 1 << 16
	c := newCodec(f, Config{Wrappers: []Wrapper{Gzip(1, most), aesGCM(f, "k1", map[string][]byte{"k1": key(1)})}})
	whole := seal(f, c, encode(f, MsgPack, long))
	f.Add(string(whole.Type), whole.Data)
	f.Add("application/json; enc=gzip+gzip+gzip", []byte{0x1f, 0x8b})
	f.Add("application/json; enc=", []byte("x"))
	f.Add("; enc=+.+; enc=", []byte("x"))
	f.Add("application/msgpack; enc=aes-gcm", []byte("x"))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		p, err := c.Open(Payload{Type: Type(name), Data: data})
		switch {
		case err != nil:
		case p.Type.Wrapped():
			t.Fatalf("still %s after opening", p.Type)
		case len(p.Data) > max(most, len(data)):
			t.Fatalf("%d bytes became %d", len(data), len(p.Data))
		}
	})
}
