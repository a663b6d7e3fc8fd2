// resume: one large blob in one PATCH, continued wherever the server says that it stands whenever the
// connection is cut or the server fails, until it is committed and pulled back whole.

package main

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// resume is one upload. What it does is printed as figures; `begun` comes when its connection is open, the
// only one until a quarter is on its way, and `half` when half of it is.
type resume struct {
	client     *Client
	repository string
	blob       Blob
	pace       float64
	began      time.Time
	patience   time.Duration
	seen       *outcomes
	location   string
	mutex      sync.Mutex
	sent       int64
	quarter    sync.Once
	half       sync.Once
	small      *beside
}

func runResume(args []string) error {
	var target Target
	set := newFlags("resume")
	repository := set.String("repository", "failover/large", "where to push")
	size := set.String("size", "256M", "size of the blob")
	pace := set.Float64("mb-per-s", 0, "MB that are sent in a second at most; 0 for no bound")
	patience := set.Float64("patience", 120, "seconds that the server may take to come back")
	beside := set.Int("beside", 2, "clients that push small images meanwhile")
	if err := parse(set, &target, args); err != nil {
		return err
	}
	bytes, err := parseSize(*size)
	if err != nil {
		return err
	}
	upload := &resume{client: target.client(1), repository: *repository, blob: randomBlob(newSeed(), bytes),
		pace: *pace * 1e6, patience: duration(*patience), seen: newOutcomes(), small: newBeside(&target, *repository, *beside)}
	err = upload.run()
	besideErr := upload.small.stop()
	upload.seen.report("")
	upload.small.seen.report("beside_")
	if err == nil {
		err = besideErr
	}
	if err == nil {
		err = upload.small.pullAll()
	}
	return err
}

func (r *resume) run() error {
	location, err := r.client.startUpload(r.repository)
	if err != nil {
		return err
	}
	r.location, r.began = location, time.Now()
	put("begun", 1)
	if err := r.send(); err != nil {
		return err
	}
	if err := r.commit(); err != nil {
		return err
	}
	put("seconds", time.Since(r.began).Seconds())
	put("bytes", r.blob.Size)
	return r.pull()
}

// send sends the content in one PATCH, and after each failure what the server has not got yet.
func (r *resume) send() error {
	err := r.patch(0, false)
	for err != nil {
		cut := time.Now()
		if !r.seen.forgivable(err) && statusOf(err) != http.StatusRequestedRangeNotSatisfiable {
			return err
		}
		offset, err2 := r.standing()
		if err2 != nil {
			return err2
		}
		sent := r.reached(0)
		if offset > sent {
			return fmt.Errorf("the server says that it has %d bytes, but %d were sent", offset, sent)
		}
		put("cut_at", sent)
		put("resumed_at", offset)
		put("resumed_after_s", time.Since(cut).Seconds())
		r.seen.count("resumed")
		if offset == r.blob.Size {
			return nil
		}
		err = r.patch(offset, true)
	}
	return nil
}

func (r *resume) patch(offset int64, ranged bool) error {
	length := r.blob.Size - offset
	what := call{method: "PATCH", path: r.location, repository: r.repository, length: length,
		body:        paced(&progress{content: r.blob.made.from(offset), upload: r, at: offset}, r.pace),
		contentType: "application/octet-stream"}
	if ranged {
		what.contentRange = fmt.Sprintf("%d-%d", offset, r.blob.Size-1)
	}
	response, _, err := r.client.send(what, http.StatusAccepted)
	if err != nil {
		return err
	}
	if has, err := hasBytes(response); err != nil || has != r.blob.Size {
		return fmt.Errorf("a PATCH was answered with %d bytes of %d: %w", has, r.blob.Size, err)
	}
	location, err := r.client.location(response)
	if err == nil {
		r.location = location
	}
	return err
}

// standing asks how much of the upload is kept, for as long as the server may take to come back.
func (r *resume) standing() (int64, error) {
	for end := time.Now().Add(r.patience); ; {
		response, _, err := r.client.send(call{method: "GET", path: r.location, repository: r.repository},
			http.StatusNoContent)
		if err == nil {
			return hasBytes(response)
		}
		if !r.seen.forgivable(err) || time.Now().After(end) {
			return 0, fmt.Errorf("the upload cannot be gone on with: %w", err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// commit names the digest. Where the answer is lost the blob may be there nevertheless.
func (r *resume) commit() error {
	for end := time.Now().Add(r.patience); ; {
		err := r.client.finishUpload(r.repository, r.location, r.blob.Digest, http.NoBody, 0)
		if err == nil {
			return nil
		}
		if !r.seen.forgivable(err) || time.Now().After(end) {
			return fmt.Errorf("the upload cannot be committed: %w", err)
		}
		there, err := r.client.headBlob(r.repository, r.blob.Digest)
		if err == nil && there {
			r.seen.count("commits_unheard")
			return nil
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func (r *resume) pull() error {
	return r.seen.insist(r.patience, func() error {
		_, err := r.client.pullBlob(r.repository, r.blob.Digest, make([]byte, 256<<10))
		return err
	})
}

// reached notes how much was sent, and says so. The body of a request that failed may still be read for a moment.
func (r *resume) reached(at int64) int64 {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if at > r.sent {
		r.sent = at
	}
	return r.sent
}

// hasBytes reads how many bytes an upload has from the Range of an answer; `0-0` is none, or one, which
// no upload here stops at.
func hasBytes(response *http.Response) (int64, error) {
	text := response.Header.Get("Range")
	last, err := strconv.ParseInt(strings.TrimPrefix(text, "0-"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("the answer has the Range %q", text)
	}
	if last == 0 {
		return 0, nil
	}
	return last + 1, nil
}

// progress reads the content of an upload and notes how far it got.
type progress struct {
	content io.Reader
	upload  *resume
	at      int64
}

func (p *progress) Read(into []byte) (int, error) {
	n, err := p.content.Read(into)
	p.at += int64(n)
	p.upload.reached(p.at)
	if p.at >= p.upload.blob.Size/4 {
		p.upload.quarter.Do(p.upload.small.start)
	}
	if p.at >= p.upload.blob.Size/2 {
		p.upload.half.Do(func() { put("half", p.at) })
	}
	return n, err
}

// paced reads content no faster than so many bytes in a second; 0 is no bound.
func paced(content io.Reader, perSecond float64) io.Reader {
	return &pacedReader{content, perSecond, 0, time.Now()}
}

type pacedReader struct {
	content   io.Reader
	perSecond float64
	out       int64
	began     time.Time
}

func (p *pacedReader) Read(into []byte) (int, error) {
	n, err := p.content.Read(into)
	p.out += int64(n)
	if p.perSecond > 0 {
		time.Sleep(time.Until(p.began.Add(duration(float64(p.out) / p.perSecond))))
	}
	return n, err
}
