package doctor

import (
	"context"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"
)

// maxStreams is how many of the account's streams are checked for copies of ours.
const maxStreams = 1000

// looks is how often a replica must be behind before the doctor reports it: under load each
// replica is behind for a moment.
const looks = 4

// caughtUp asks for the replicas again while one of them is behind.
func (e *examiner) caughtUp(ctx context.Context, c *jetstream.ClusterInfo, again func(context.Context) (*jetstream.ClusterInfo, error)) *jetstream.ClusterInfo {
	behind := func(p *jetstream.PeerInfo) bool { return !p.Current && !p.Offline }
	for n := 1; n < looks && c != nil && slices.ContainsFunc(c.Replicas, behind); n++ {
		if pause(ctx, settle) != nil {
			break
		}
		now, err := ask(ctx, e.Timeout, again)
		if err != nil {
			break
		}
		c = now
	}
	return c
}

// judgePeers checks the replicas of a stream or a consumer.
func (e *examiner) judgePeers(name, kind string, c *jetstream.ClusterInfo) {
	if c == nil {
		return
	}
	const report = "nats server report jetstream; the log of that server says why"
	if c.Leader == "" {
		e.find(Problem, kind+".peers", name, "has no leader", "nothing can be read from it or written to it until a majority of its replicas is up", report)
	}
	offline := 0
	for _, p := range c.Replicas {
		if p.Offline {
			offline++
		}
	}
	if all := len(c.Replicas) + 1; 2*offline >= all {
		e.find(Problem, kind+".peers", name, fmt.Sprintf("%d of its %d replicas are offline: there is no majority", offline, all),
			"nothing can be written to it", "start the servers that are down")
	}
	for _, p := range c.Replicas {
		switch {
		case p.Offline:
			e.find(Warning, kind+".peers", name, fmt.Sprintf("its replica on %s is offline, last seen %s ago", p.Name, ageOf(p.Active)),
				"another one lost may leave no majority: then nothing can be written", "start "+p.Name+"; if it is gone for good: nats server raft peer-remove "+p.Name)
		case !p.Current:
			e.find(Warning, kind+".peers", name, fmt.Sprintf("its replica on %s is not current%s", p.Name, lag(p.Lag)),
				"until it has caught up it does not count as a copy", report)
		}
	}
}

func lag(n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %d writes behind", n)
}

// judgeReplicas compares the replicas of the streams with each other and with the size of the
// cluster.
func (e *examiner) judgeReplicas() {
	byCount := map[string][]string{}
	least := 0
	for _, s := range e.Streams {
		key := fmt.Sprint("R", s.Replicas)
		byCount[key] = append(byCount[key], s.Name)
		if least == 0 || s.Replicas < least {
			least = s.Replicas
		}
	}
	if len(byCount) > 1 {
		e.find(Warning, "stream.replicas", "", "the streams have different replicas: "+grouping(byCount),
			"the namespace survives no more than its weakest stream", e.replicate(3))
	}
	size := e.clusterSize()
	switch {
	case least == 1 && size >= 3:
		e.find(Warning, "stream.replicas", "", fmt.Sprintf("one copy of each message in a cluster of %d servers", size),
			"while the one server that has it is down nothing runs; if its disk is lost, so is everything", e.replicate(3))
	case least == 2 || least == 4:
		e.find(Warning, "stream.replicas", "", fmt.Sprintf("%d replicas: an even number", least),
			fmt.Sprintf("it takes %d of them to write, so that no more may fail than with %d", least/2+1, least-1), e.replicate(least+1))
	}
	if size == 2 {
		e.find(Warning, "stream.replicas", "", "the cluster has 2 servers", "it takes both to make a majority: while one is down nothing can be made or written", "add a third server")
	}
	if least > 0 {
		e.fine("stream.replicas", "R%d%s", least, ofCluster(size))
	}
}

func ofCluster(size int) string {
	if size < 2 {
		return " on a single server"
	}
	return fmt.Sprintf(" in a cluster of %d", size)
}

func (e *examiner) replicate(n int) string {
	return fmt.Sprintf("nats stream edit NAME --replicas=%d for each of the %d streams, with %d servers or more", n, len(e.Streams), n)
}

// clusterSize returns how many servers of the cluster are known.
func (e *examiner) clusterSize() int {
	names := map[string]bool{}
	for _, s := range e.Servers {
		if s.Name != "" && s.Failure == "" && s.Cluster != "" {
			names[s.Name] = true
		}
	}
	for _, info := range e.streams {
		if info.Cluster == nil || info.Cluster.Name == "" {
			continue
		}
		if info.Cluster.Leader != "" {
			names[info.Cluster.Leader] = true
		}
		for _, p := range info.Cluster.Replicas {
			names[p.Name] = true
		}
	}
	return max(len(names), 1)
}

// findCopies looks for other streams that take messages from ours.
func (e *examiner) findCopies(ctx context.Context) {
	_, err := ask(ctx, e.Timeout, func(ctx context.Context) (struct{}, error) {
		list, n := e.rpc.JS.ListStreams(ctx), 0
		for info := range list.Info() {
			if n++; n > maxStreams {
				e.find(Note, "stream.copied", "", fmt.Sprintf("only the first %d streams of the account were checked for copies", maxStreams), "", "")
				return struct{}{}, nil
			}
			e.judgeCopy(info.Config)
		}
		return struct{}{}, list.Err()
	})
	if err != nil {
		e.find(Note, "stream.copied", "", "whether another stream copies ours could not be learned: "+err.Error(), "", "")
	}
}

func (e *examiner) judgeCopy(c jetstream.StreamConfig) {
	from := slices.Clone(c.Sources)
	if c.Mirror != nil {
		from = append(from, c.Mirror)
	}
	for _, source := range from {
		ours := e.streams[source.Name]
		if ours == nil || source.External != nil || source.Domain != "" {
			continue
		}
		if ours.Config.Retention == jetstream.WorkQueuePolicy {
			e.find(Problem, "stream.copied", source.Name, "stream "+c.Name+" mirrors or sources it",
				"the server removes copied messages from a work queue: executions vanish from it", "nats stream rm "+c.Name)
			continue
		}
		e.find(Note, "stream.copied", source.Name, "stream "+c.Name+" mirrors or sources it", "a copy of the records, which nobody here reads", "")
	}
}
