// hold: keep connections busy and report every failure, while a command (say, the renewal of the
// certificate) runs in the middle of it.

package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func runHold(args []string) error {
	var target Target
	set := newFlags("hold")
	connections := set.Int("connections", 50, "connections that stay open")
	fresh := set.Int("fresh", 4, "further clients that open a new connection for every request")
	second := set.Int("h2", 8, "further connections that speak HTTP/2")
	seconds := set.Float64("seconds", 10, "how long")
	repository := set.String("repository", "bench/hold", "repository the requests are on")
	path := set.String("path", "", "comma-separated paths (default: an image that is pushed first)")
	after := set.Float64("exec-after", 3, "seconds until the command given after -- runs")
	if err := parse(set, &target, args); err != nil {
		return err
	}
	requests, paths, err := target.holdRequests(*repository, *path)
	if err != nil {
		return err
	}
	meter := startMeter(target.PIDs)
	end := meter.began.Add(time.Duration(*seconds * float64(time.Second)))
	watch := newSerialWatch()
	var background sync.WaitGroup
	if set.NArg() > 0 {
		background.Add(1)
		go func() {
			defer background.Done()
			time.Sleep(time.Duration(*after * float64(time.Second)))
			watch.markSwap()
			output, err := exec.Command(set.Arg(0), set.Args()[1:]...).CombinedOutput()
			watch.markSwapped()
			if err != nil {
				meter.fail(fmt.Errorf("%s: %w: %s", strings.Join(set.Args(), " "), err, output))
			}
		}()
	}
	background.Add(1)
	go func() {
		defer background.Done()
		for time.Now().Before(end) {
			line, err := target.dialRaw()
			if err != nil {
				meter.fail(fmt.Errorf("handshake: %w", err))
			} else {
				watch.see(line.serial())
				line.close()
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	var reopened int64
	kept := *connections + *fresh
	parallel(kept+*second, func(index int) {
		if index >= kept {
			target.holdHTTP2(meter, end, *repository, paths[index%len(paths)])
			return
		}
		target.holdOne(meter, end, requests[index%len(requests)], index >= *connections, &reopened)
	})
	background.Wait()
	put("reopened", atomic.LoadInt64(&reopened))
	watch.report()
	put("connections", *connections)
	return meter.report()
}

// holdRequests pushes an image and asks for its manifest, its layer and a token; or takes the given paths.
func (t *Target) holdRequests(repository, paths string) ([][]byte, []string, error) {
	client := t.client(1)
	if paths == "" {
		if err := client.createProject(project(repository)); err != nil {
			return nil, nil, err
		}
		image := newImage(randomConfig(newSeed(), 1024), []Blob{randomBlob(newSeed(), 256<<10)}, nil)
		if err := client.pushImage(repository, "hold", image, wayPut, false); err != nil {
			return nil, nil, err
		}
		paths = "/v2/" + repository + "/manifests/hold,/v2/" + repository + "/blobs/" + image.Blobs[1].Digest
	}
	authorization, err := client.authorization(repository)
	if err != nil {
		return nil, nil, err
	}
	var requests [][]byte
	for _, path := range strings.Split(paths, ",") {
		requests = append(requests, rawRequest(t, "GET", path, authorization))
	}
	return requests, strings.Split(paths, ","), nil
}

func (t *Target) holdHTTP2(meter *Meter, end time.Time, repository, path string) {
	client := t.clientHTTP2()
	defer client.close()
	for time.Now().Before(end) {
		began := time.Now()
		response, body, err := client.send(call{method: "GET", path: path, repository: repository, accept: manifestType},
			http.StatusOK)
		if err == nil && response.ProtoMajor != 2 {
			err = fmt.Errorf("%s where HTTP/2 was asked for", response.Proto)
		}
		if err != nil {
			meter.fail(fmt.Errorf("HTTP/2: %w", err))
			time.Sleep(50 * time.Millisecond)
			continue
		}
		meter.done(began, int64(len(body)))
	}
}

func (t *Target) holdOne(meter *Meter, end time.Time, request []byte, fresh bool, reopened *int64) {
	var line *rawConn
	defer func() {
		if line != nil {
			line.close()
		}
	}()
	for time.Now().Before(end) {
		if line == nil {
			opened, err := t.dialRaw()
			if err != nil {
				meter.fail(fmt.Errorf("connect: %w", err))
				time.Sleep(50 * time.Millisecond)
				continue
			}
			line = opened
		}
		began := time.Now()
		answer, err := line.exchange(request)
		if err == nil && answer.status != http.StatusOK {
			err = fmt.Errorf("status %d", answer.status)
		}
		if err != nil {
			var closed *unread
			if errors.As(err, &closed) {
				err = fmt.Errorf("request %d of its connection: %w", line.uses+1, err)
			}
			meter.fail(err)
		} else {
			meter.done(began, answer.bytes)
		}
		if err != nil || answer.closes || fresh {
			if answer.closes {
				atomic.AddInt64(reopened, 1)
			}
			line.close()
			line = nil
		}
	}
}

// serialWatch notes when handshakes begin to show another certificate.
type serialWatch struct {
	mutex         sync.Mutex
	first, last   string
	swap, swapped time.Time
	changed       time.Time
	old, new      int
	oldAfterNew   int
}

func newSerialWatch() *serialWatch { return &serialWatch{} }

func (w *serialWatch) markSwap() {
	w.mutex.Lock()
	w.swap = time.Now()
	w.mutex.Unlock()
}

func (w *serialWatch) markSwapped() {
	w.mutex.Lock()
	w.swapped = time.Now()
	w.mutex.Unlock()
}

func (w *serialWatch) see(serial string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.first == "" {
		w.first = serial
	}
	w.last = serial
	if serial != w.first {
		w.new++
		if w.changed.IsZero() {
			w.changed = time.Now()
		}
		return
	}
	w.old++
	if !w.changed.IsZero() {
		w.oldAfterNew++
	}
}

func (w *serialWatch) report() {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	put("serial_before", w.first)
	put("serial_after", w.last)
	put("handshakes_old", w.old)
	put("handshakes_new", w.new)
	put("handshakes_old_after_new", w.oldAfterNew)
	if w.changed.IsZero() {
		fmt.Fprintln(os.Stderr, "  no handshake showed another certificate")
		return
	}
	put("new_after_start_ms", float64(w.changed.Sub(w.swap).Microseconds())/1000)
	// Negative where the server was quicker than the command took to end.
	put("new_after_end_ms", float64(w.changed.Sub(w.swapped).Microseconds())/1000)
}
