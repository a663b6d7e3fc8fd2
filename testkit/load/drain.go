// drain: SIGTERM under load. Whatever the server had begun to read must be answered whole; what comes
// later is refused.

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// unreadMargin is how long before the signal a request may have been sent and still lie unread: both sides
// share a machine that is fully loaded. What was certainly read is the affair of the half requests.
const unreadMargin = 250 * time.Millisecond

// drainRun is what all parts of the test share.
type drainRun struct {
	target     *Target
	client     *Client
	repository string
	request    []byte
	pid        int
	signalled  atomic.Value // time.Time, once SIGTERM went out
	term       chan struct{}
	mutex      sync.Mutex
	counts     map[string]int
	failures   []string
}

func runDrain(args []string) error {
	var target Target
	set := newFlags("drain")
	pid := set.Int("pid", 0, "the server; it gets SIGTERM")
	connections := set.Int("connections", 50, "connections under continuous load")
	halves := set.Int("halves", 20, "connections with half a request sent when the signal comes")
	slow := set.Int("slow", 4, "slow uploads, and as many slow downloads")
	second := set.Int("h2", 8, "HTTP/2 connections under load; two more download slowly")
	seconds := set.Float64("slow-seconds", 6, "how long a slow transfer takes after the signal")
	repository := set.String("repository", "bench/drain", "repository the requests are on")
	if err := parse(set, &target, args); err != nil {
		return err
	}
	run := &drainRun{target: &target, client: target.client(4), repository: *repository, pid: *pid,
		term: make(chan struct{}), counts: map[string]int{}}
	if err := run.client.createProject(project(*repository)); err != nil {
		return err
	}
	image := newImage(randomConfig(newSeed(), 1024), []Blob{randomBlob(newSeed(), 64<<20)}, nil)
	if err := run.client.pushImage(*repository, "drain", image, wayPut, false); err != nil {
		return err
	}
	authorization, err := run.client.authorization(*repository)
	if err != nil {
		return err
	}
	run.request = rawRequest(&target, "GET", "/v2/"+*repository+"/manifests/drain", authorization)
	layer := rawRequest(&target, "GET", "/v2/"+*repository+"/blobs/"+image.Blobs[1].Digest, authorization)

	length := time.Duration(*seconds * float64(time.Second))
	var group sync.WaitGroup
	begin := func(n int, work func()) {
		for ; n > 0; n-- {
			group.Add(1)
			go func() {
				defer group.Done()
				work()
			}()
		}
	}
	begin(*connections, run.load)
	begin(*halves, run.half)
	begin(*slow, func() { run.slowDownload(layer, image.Blobs[1], length) })
	begin(*slow, func() { run.slowUpload(authorization, length) })
	begin(2, run.idle)
	begin(*second, run.loadHTTP2)
	if *second > 0 {
		begin(2, func() { run.slowHTTP2(image.Blobs[1], length) })
	}
	time.Sleep(2 * time.Second)
	run.signalled.Store(time.Now())
	if err := syscall.Kill(run.pid, syscall.SIGTERM); err != nil {
		return err
	}
	close(run.term)
	run.watchRefusal()
	group.Wait()
	busy := run.since()
	put("transfers_ended_after_ms", milliseconds(busy))
	for processRuns(run.pid) && run.since() < busy+320*time.Second {
		time.Sleep(5 * time.Millisecond)
	}
	put("exit_after_last_request_ms", milliseconds(run.since()-busy))
	return run.report()
}

func milliseconds(length time.Duration) float64 { return float64(length.Microseconds()) / 1000 }

func processRuns(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	return !strings.HasPrefix(string(text[bytes.LastIndexByte(text, ')')+1:]), " Z")
}

func (r *drainRun) since() time.Duration {
	if at, ok := r.signalled.Load().(time.Time); ok {
		return time.Since(at)
	}
	return 0
}

func (r *drainRun) count(what string) {
	r.mutex.Lock()
	r.counts[what]++
	r.mutex.Unlock()
}

func (r *drainRun) fail(format string, args ...any) {
	r.mutex.Lock()
	r.counts["failures"]++
	if len(r.failures) < 30 {
		r.failures = append(r.failures, fmt.Sprintf(format, args...))
	}
	r.mutex.Unlock()
}

func (r *drainRun) report() error {
	for _, what := range []string{"answered_before", "answered_after", "closed_unread_after", "refused_after",
		"halves_answered", "downloads_whole", "uploads_whole",
		"h2_answered_before", "h2_answered_after", "h2_told_to_go", "h2_downloads_whole", "idle_closed", "failures"} {
		put(what, r.counts[what])
	}
	for _, text := range r.failures {
		fmt.Fprintln(os.Stderr, "  failed:", text)
	}
	if len(r.failures) > 0 {
		return fmt.Errorf("%d requests were not answered whole", r.counts["failures"])
	}
	return nil
}

// load asks without pause until the server goes. A connection that ends without an answer is fine only
// where the request was sent once the signal was out, or so shortly before that nothing was read of it.
func (r *drainRun) load() {
	line, err := r.target.dialRaw()
	if err != nil {
		r.fail("connect before the signal: %v", err)
		return
	}
	defer func() { line.close() }()
	for {
		began := time.Now()
		answer, err := line.exchange(r.request)
		at, signalled := r.signalled.Load().(time.Time)
		late := signalled && time.Now().After(at)
		var closed *unread
		switch {
		case err == nil && answer.status != http.StatusOK:
			r.fail("status %d", answer.status)
			return
		case err == nil && late:
			r.count("answered_after")
		case err == nil:
			r.count("answered_before")
		case errors.As(err, &closed) && signalled && began.After(at.Add(-unreadMargin)):
			r.count("closed_unread_after")
			return
		default:
			r.fail("request sent %v relative to the signal: %v", began.Sub(at), err)
			return
		}
		if err != nil || answer.closes {
			if !signalled {
				r.fail("Connection: close before the signal")
			}
			return
		}
	}
}

// loadHTTP2 asks without pause on one HTTP/2 connection, until the server says that it goes. A request that
// the server did not begin is one it told us of; any other end is a failure.
func (r *drainRun) loadHTTP2() {
	client := r.target.clientHTTP2()
	defer client.close()
	for {
		_, _, err := client.send(call{method: "GET", path: "/v2/" + r.repository + "/manifests/drain",
			repository: r.repository, accept: manifestType}, http.StatusOK)
		at, signalled := r.signalled.Load().(time.Time)
		late := signalled && time.Now().After(at)
		switch {
		case err == nil && late:
			r.count("h2_answered_after")
		case err == nil:
			r.count("h2_answered_before")
		case late && errors.Is(err, errSecondDial):
			r.count("h2_told_to_go")
			return
		default:
			r.fail("HTTP/2 request, %v after the signal: %v", r.since(), err)
			return
		}
	}
}

// slowHTTP2 downloads slowly over HTTP/2.
func (r *drainRun) slowHTTP2(blob Blob, length time.Duration) {
	client := r.target.clientHTTP2()
	defer client.close()
	response, err := client.open(call{method: "GET", path: "/v2/" + r.repository + "/blobs/" + blob.Digest, repository: r.repository})
	if err != nil {
		r.fail("slow download over HTTP/2: %v", err)
		return
	}
	defer response.Body.Close()
	hash := sha256.New()
	paced := &pacedWriter{into: hash, rate: float64(blob.Size) / (length + 2*time.Second).Seconds(), began: time.Now()}
	if _, err := io.Copy(paced, response.Body); err != nil {
		r.fail("slow download over HTTP/2, %v after the signal: %v", r.since(), err)
		return
	}
	if got := "sha256:" + hex.EncodeToString(hash.Sum(nil)); got != blob.Digest {
		r.fail("slow download over HTTP/2: got %s", got)
		return
	}
	r.count("h2_downloads_whole")
}

// half has the server read the beginning of a request before the signal and sends the rest after it.
func (r *drainRun) half() {
	line, err := r.target.dialRaw()
	if err != nil {
		r.fail("connect before the signal: %v", err)
		return
	}
	defer line.close()
	// A first exchange makes it a kept-alive connection; then the first half of the second request.
	if _, err := line.exchange(r.request); err != nil {
		r.fail("first request: %v", err)
		return
	}
	cut := len(r.request) / 2
	if _, err := line.tls.Write(r.request[:cut]); err != nil {
		r.fail("first half: %v", err)
		return
	}
	<-r.term
	time.Sleep(500 * time.Millisecond)
	answer, err := line.exchange(r.request[cut:])
	if err != nil {
		r.fail("half a request was read before the signal, the rest sent 0.5 s after it: %v", err)
		return
	}
	if answer.status != http.StatusOK {
		r.fail("half request: status %d", answer.status)
		return
	}
	r.count("halves_answered")
}

// idle holds a kept-alive connection without a request: the server has to close it, not wait for it.
func (r *drainRun) idle() {
	line, err := r.target.dialRaw()
	if err != nil {
		r.fail("connect before the signal: %v", err)
		return
	}
	defer line.close()
	if _, err := line.exchange(r.request); err != nil {
		r.fail("first request: %v", err)
		return
	}
	_ = line.tls.SetDeadline(time.Now().Add(30 * time.Second))
	_, err = line.reader.ReadByte()
	if r.since() == 0 {
		r.fail("idle connection closed before the signal: %v", err)
		return
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		r.fail("idle connection still open 28 s after the signal")
		return
	}
	r.count("idle_closed")
}

func (r *drainRun) slowDownload(request []byte, blob Blob, length time.Duration) {
	line, err := r.target.dialBuffered(128 << 10)
	if err != nil {
		r.fail("connect before the signal: %v", err)
		return
	}
	defer line.close()
	if _, err := line.tls.Write(request); err != nil {
		r.fail("slow download: %v", err)
		return
	}
	hash := sha256.New()
	paced := &pacedWriter{into: hash, rate: float64(blob.Size) / (length + 2*time.Second).Seconds(), began: time.Now()}
	answer, err := line.answer(paced)
	if err != nil {
		r.fail("slow download, %v after the signal: %v", r.since(), err)
		return
	}
	if got := "sha256:" + hex.EncodeToString(hash.Sum(nil)); got != blob.Digest || answer.bytes != blob.Size {
		r.fail("slow download: got %s, %d bytes", got, answer.bytes)
		return
	}
	r.count("downloads_whole")
}

type pacedWriter struct {
	into  io.Writer
	rate  float64
	sent  int64
	began time.Time
}

func (p *pacedWriter) Write(text []byte) (int, error) {
	p.sent += int64(len(text))
	due := p.began.Add(time.Duration(float64(p.sent) / p.rate * float64(time.Second)))
	time.Sleep(time.Until(due))
	return p.into.Write(text)
}

// slowUpload is a monolithic PUT whose body drips in until well after the signal.
func (r *drainRun) slowUpload(authorization string, length time.Duration) {
	blob := randomBlob(newSeed(), 16<<20)
	location, err := r.client.startUpload(r.repository)
	if err == nil {
		location, err = withDigest(location, blob.Digest)
	}
	if err != nil {
		r.fail("slow upload: %v", err)
		return
	}
	line, err := r.target.dialRaw()
	if err != nil {
		r.fail("connect before the signal: %v", err)
		return
	}
	defer line.close()
	head := rawRequest(r.target, "PUT", strings.TrimPrefix(location, r.target.URL), authorization)
	head = append(head[:len(head)-2], fmt.Sprintf("Content-Length: %d\r\nContent-Type: application/octet-stream\r\n\r\n", blob.Size)...)
	if _, err := line.tls.Write(head); err != nil {
		r.fail("slow upload: %v", err)
		return
	}
	paced := &pacedWriter{into: line.tls, rate: float64(blob.Size) / (length + 2*time.Second).Seconds(), began: time.Now()}
	if _, err := io.CopyBuffer(paced, struct{ io.Reader }{blob.reader()}, make([]byte, 32<<10)); err != nil {
		r.fail("slow upload, %v after the signal: %v", r.since(), err)
		return
	}
	answer, err := line.answer(io.Discard)
	if err != nil || answer.status != http.StatusCreated {
		r.fail("slow upload, %v after the signal: status %d, %v", r.since(), answer.status, err)
		return
	}
	r.count("uploads_whole")
}

// watchRefusal dials until the server no longer accepts, and on for a while.
func (r *drainRun) watchRefusal() {
	var first time.Duration
	accepted := 0
	for r.since() < 3*time.Second {
		line, err := net.DialTimeout("tcp", r.target.base.Host, time.Second)
		switch {
		case err == nil:
			line.Close()
			if first > 0 {
				accepted++
			}
		case first == 0:
			first = r.since()
			fallthrough
		default:
			r.count("refused_after")
		}
		time.Sleep(5 * time.Millisecond)
	}
	put("refuses_after_ms", milliseconds(first))
	if first == 0 {
		r.fail("new connections were still accepted 3 s after the signal")
	}
	if accepted > 0 {
		r.fail("%d new connections were accepted after one had been refused", accepted)
	}
}
