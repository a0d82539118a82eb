package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/durable-execution/durable/engine"
)

// An uploadInput asks for the upload of a file to a directory of this machine, whose URL is
// file:///DIR.
type uploadInput struct {
	FilePath  string `json:"filePath"`
	UploadURL string `json:"uploadUrl"`
}

// A fileInput names the file that a child reads.
type fileInput struct {
	FilePath string `json:"filePath"`
}

// An uploaded is the output that the parent passes to its finalize.
type uploaded struct {
	UploadURL string `json:"uploadUrl"`
	Size      int64  `json:"fileSize"`
	SHA256    string `json:"sha256"`
}

type title struct {
	Title string `json:"title"`
}

type summary struct {
	Summary string `json:"summary"`
	Lines   int    `json:"lines"`
	Words   int    `json:"words"`
	SHA256  string `json:"sha256"` // of the text that was summarized
}

// An uploadOutput is the output of an upload.
type uploadOutput struct {
	FilePath  string `json:"filePath"`
	UploadURL string `json:"uploadUrl"` // of the copy
	Size      int64  `json:"fileSize"`
	SHA256    string `json:"sha256"`
	Title     string `json:"title"`
	Summary   string `json:"summary"`
	Lines     int    `json:"lines"`
	Words     int    `json:"words"`
}

// again retries failures that may be temporary: a full disk, a flaky network drive. The tasks
// mark other failures as permanent.
var again = engine.Retry{MaxRetries: 3, BaseDelay: 200 * time.Millisecond, Multiplier: 3}

// parts is the queue of all children and finalizes. In the queue of the uploads, the
// children of the first file would wait behind the uploads of all others. From a queue of
// their own they take turns with the uploads, so that the first files finish early.
const parts = engine.Queue("parts")

var (
	extractFileTitle = engine.Define[fileInput, title]("extractFileTitle", parts, again, engine.Timeout(partTimeout))
	summarizeFile    = engine.Define[fileInput, summary]("summarizeFile", parts, again, engine.Timeout(partTimeout))
	uploadFile       = engine.Define[uploadInput, uploadOutput]("uploadFile", again, engine.Timeout(uploadTimeout))
)

const (
	partTimeout   = 30 * time.Second
	uploadTimeout = time.Minute
	// uploadSteps is how many executions make up the tree of a file.
	uploadSteps = 4
)

// An uploader is the code of the demo's tasks.
type uploader struct {
	// delay is artificial work: every task takes this much longer.
	delay time.Duration
	// maxSize is the size of the largest file to upload, in bytes.
	maxSize int64
	log     *zap.Logger
	// done is called for each task that returned without an error.
	done func(engine.Run)
}

func (u *uploader) bindings() []engine.Binding {
	return []engine.Binding{
		engine.Bind(extractFileTitle, u.extractTitle),
		engine.Bind(summarizeFile, u.summarize),
		engine.BindParent(uploadFile, u.upload, u.finish, parts, again, u.timeout(uploadTimeout)),
	}
}

// timeout adds the artificial work to the time that the real work may take.
func (u *uploader) timeout(d time.Duration) engine.Timeout { return engine.Timeout(d + u.delay) }

// begin logs the begin of a task and does the artificial work. Every task calls it first.
func (u *uploader) begin(ctx context.Context) error {
	r := engine.FromContext(ctx)
	u.log.Debug("task begins", zap.String("execution", r.ExecutionID), zap.String("task", r.TaskID), zap.Int("attempt", r.Attempt))
	if u.delay == 0 {
		return nil
	}
	return pause(ctx, u.delay)
}

func (u *uploader) upload(ctx context.Context, in uploadInput, kids *engine.Children) (uploaded, error) {
	if err := u.begin(ctx); err != nil {
		return uploaded{}, err
	}
	dir, err := directoryOf(in.UploadURL)
	if err != nil {
		return uploaded{}, engine.Permanent(err)
	}
	c, err := copyFile(in.FilePath, dir, engine.FromContext(ctx).ExecutionID, u.maxSize)
	if err != nil {
		return uploaded{}, err
	}
	file := fileInput{FilePath: in.FilePath}
	extractFileTitle.Spawn(kids, file, u.timeout(partTimeout))
	summarizeFile.Spawn(kids, file, u.timeout(partTimeout))
	u.done(engine.FromContext(ctx))
	return uploaded{UploadURL: fileURL(c.path), Size: c.size, SHA256: c.sha256}, nil
}

func (u *uploader) extractTitle(ctx context.Context, in fileInput) (title, error) {
	if err := u.begin(ctx); err != nil {
		return title{}, err
	}
	text, err := readText(in.FilePath, u.maxSize)
	if err != nil {
		return title{}, err
	}
	u.done(engine.FromContext(ctx))
	return title{titleOf(in.FilePath, text)}, nil
}

func (u *uploader) summarize(ctx context.Context, in fileInput) (summary, error) {
	if err := u.begin(ctx); err != nil {
		return summary{}, err
	}
	text, err := readText(in.FilePath, u.maxSize)
	if err != nil {
		return summary{}, err
	}
	if len(text) == 0 {
		return summary{}, engine.Permanent(errors.New("empty file: nothing to summarize"))
	}
	u.done(engine.FromContext(ctx))
	return summarized(text), nil
}

// finish joins the outputs of the children. It compares digests, because the tasks read the
// file at different times.
func (u *uploader) finish(ctx context.Context, j engine.Joined[uploadInput, uploaded]) (uploadOutput, error) {
	if err := u.begin(ctx); err != nil {
		return uploadOutput{}, err
	}
	t, err := extractFileTitle.Result(j.Children).Get()
	if err != nil {
		return uploadOutput{}, err
	}
	s, err := summarizeFile.Result(j.Children).Get()
	if err != nil {
		return uploadOutput{}, err
	}
	if s.SHA256 != j.Output.SHA256 {
		return uploadOutput{}, engine.Permanent(errors.New("the file changed during the upload: run the demo again to upload the new content"))
	}
	u.done(engine.FromContext(ctx))
	return uploadOutput{
		FilePath: j.Input.FilePath, UploadURL: j.Output.UploadURL, Size: j.Output.Size, SHA256: s.SHA256,
		Title: t.Title, Summary: s.Summary, Lines: s.Lines, Words: s.Words,
	}, nil
}

func fileURL(path string) string {
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(path)}).String()
}

func directoryOf(uploadURL string) (string, error) {
	u, err := url.Parse(uploadURL)
	if err != nil || u.Scheme != "file" || u.Host != "" {
		return "", fmt.Errorf("upload URL %q: want file:///DIRECTORY", uploadURL)
	}
	return filepath.FromSlash(u.Path), nil
}
