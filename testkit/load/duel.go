// duel: two writers on one upload session at once, each through another replica. One wins, and what is
// committed are its bytes; the other is told so.

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"net/url"
	"os"
	"time"
)

// The ways to meet.
const (
	duelPatch    = "patch"    // both PATCH from the beginning, then PUT
	duelPut      = "put"      // both PUT all
	duelTakeover = "takeover" // one is sending; the other goes on, with other bytes, where the server says it stands
	duelStream   = "stream"   // both PATCH without saying where their bytes belong; it may be that none wins
)

var duelWays = []string{duelPatch, duelPut, duelTakeover, duelStream}

type duelist struct {
	client *Client
	// What it wants to be committed.
	blob Blob
	body func() io.Reader
	// How it ended.
	won bool
	err error
}

type duel struct {
	repository string
	size       int64
	doors      [2]*Target
	random     *rand.Rand
	seen       *outcomes
}

func runDuel(args []string) error {
	var target Target
	set := newFlags("duel")
	other := set.String("other", "", "URL of the other replica")
	repository := set.String("repository", "failover/duel", "where to push")
	size := set.String("size", "24M", "size of each blob")
	rounds := set.Int("rounds", 8, "rounds")
	if err := parse(set, &target, args); err != nil {
		return err
	}
	bytes, err := parseSize(*size)
	if err != nil {
		return err
	}
	second, err := target.at(*other)
	if err != nil {
		return err
	}
	if err := target.client(1).createProject(project(*repository)); err != nil {
		return err
	}
	run := &duel{repository: *repository, size: bytes, doors: [2]*Target{&target, second},
		random: rand.New(rand.NewSource(int64(newSeed()))), seen: newOutcomes()}
	wrong := 0
	for round := 0; round < *rounds; round++ {
		way := duelWays[round%len(duelWays)]
		if err := run.round(way, round/len(duelWays)%2); err != nil {
			fmt.Fprintf(os.Stderr, "  round %d (%s): %v\n", round, way, err)
			wrong++
		}
		run.seen.count("rounds")
	}
	run.seen.report("")
	if wrong > 0 {
		return fmt.Errorf("%d rounds did not end as they had to", wrong)
	}
	return nil
}

// round has one duel, the first writer through the given door.
func (d *duel) round(way string, door int) error {
	var writers [2]*duelist
	for index := range writers {
		blob := randomBlob(newSeed(), d.size)
		target := d.doors[(door+index)%2]
		writers[index] = &duelist{client: target.client(2), blob: blob, body: blob.reader}
		defer writers[index].client.close()
		if err := writers[index].client.warm(d.repository); err != nil {
			return err
		}
	}
	location, err := writers[0].client.startUpload(d.repository)
	if err != nil {
		return err
	}
	parsed, err := url.Parse(location)
	if err != nil {
		return err
	}
	path := parsed.RequestURI()
	pause := time.Duration(d.random.Intn(60)) * time.Millisecond
	parallel(2, func(index int) {
		writer := writers[index]
		switch {
		case way == duelTakeover && index == 1:
			writer.err = d.takeOver(writer, writers[0].blob, path)
		case index == 1:
			time.Sleep(pause)
			writer.err = d.write(writer, way, path)
		default:
			writer.err = d.write(writer, way, path)
		}
		writer.won = writer.err == nil
	})
	return d.judge(way, writers)
}

// write sends all, from the beginning.
func (d *duel) write(writer *duelist, way, path string) error {
	what := call{method: "PATCH", path: path, repository: d.repository, body: writer.body(), length: d.size,
		contentType: "application/octet-stream", contentRange: fmt.Sprintf("0-%d", d.size-1)}
	if way == duelStream {
		what.contentRange = ""
	}
	if way == duelTakeover {
		what.body = paced(what.body, 20e6)
	}
	if way == duelPut {
		what.method, what.path = "PUT", path+"?digest="+writer.blob.Digest
		_, _, err := writer.client.send(what, http.StatusCreated)
		return err
	}
	if _, _, err := writer.client.send(what, http.StatusAccepted); err != nil {
		return err
	}
	return writer.client.finishUpload(d.repository, path, writer.blob.Digest, http.NoBody, 0)
}

// errLate is the end of a writer who found all bytes there already.
var errLate = fmt.Errorf("the other one was done")

// takeOver goes on with the first one's upload, with bytes of its own, as soon as there is a checkpoint.
func (d *duel) takeOver(writer *duelist, first Blob, path string) error {
	for end := time.Now().Add(time.Minute); ; {
		response, _, err := writer.client.send(call{method: "GET", path: path, repository: d.repository}, http.StatusNoContent)
		if err != nil {
			return err
		}
		at, err := hasBytes(response)
		if err != nil {
			return err
		}
		if at == d.size {
			return errLate
		}
		if at > 0 {
			own := writer.blob
			mixed := func() io.Reader {
				return io.MultiReader(io.LimitReader(first.made.from(0), at), own.made.from(at))
			}
			hash := sha256.New()
			if _, err := io.Copy(hash, mixed()); err != nil {
				return err
			}
			digest := "sha256:" + hex.EncodeToString(hash.Sum(nil))
			_, _, err = writer.client.send(call{method: "PATCH", path: path, repository: d.repository, body: own.made.from(at),
				length: d.size - at, contentRange: fmt.Sprintf("%d-%d", at, d.size-1),
				contentType: "application/octet-stream"}, http.StatusAccepted)
			if err == nil {
				writer.blob = Blob{Digest: digest, Size: d.size}
				d.seen.count("taken_over")
				return writer.client.finishUpload(d.repository, path, digest, http.NoBody, 0)
			}
			if statusOf(err) != http.StatusRequestedRangeNotSatisfiable {
				return err
			}
			// The first one got further meanwhile.
			d.seen.count("overtaken")
		}
		if time.Now().After(end) {
			return fmt.Errorf("no checkpoint within a minute")
		}
		time.Sleep(time.Millisecond)
	}
}

// judge checks that one has won, how the other was told, and that the winner's bytes are what is stored.
func (d *duel) judge(way string, writers [2]*duelist) error {
	won := 0
	var unclean error
	for _, writer := range writers {
		if writer.won {
			won++
		} else if err := d.told(writer.err); err != nil {
			unclean = err
		}
	}
	if won > 1 || won == 0 && way != duelStream {
		return fmt.Errorf("%d of two writers won: %v; %v", won, writers[0].err, writers[1].err)
	}
	d.seen.count(fmt.Sprintf("won_%s_%d", way, won))
	for index, writer := range writers {
		if writer.won {
			d.seen.count(fmt.Sprintf("winner_%d", index+1))
		}
		for _, other := range writers {
			if err := d.holds(other.client, writer); err != nil {
				return err
			}
		}
	}
	return unclean
}

// told counts how the loser learnt of it: by a clean status of its own making, or by the end of its connection.
func (d *duel) told(err error) error {
	status, is := err.(*StatusError)
	switch {
	case err == errLate:
		d.seen.count("loser_late")
	case !is:
		d.seen.count("loser_cut")
	case status.Code >= 400 && status.Code < 500 && status.clean():
		d.seen.count(fmt.Sprintf("loser_%d", status.Code))
	default:
		return fmt.Errorf("the loser got no clean error: %w", err)
	}
	return nil
}

// holds checks that a door has what a writer won with, and nothing of one who lost.
func (d *duel) holds(client *Client, writer *duelist) error {
	if writer.won {
		_, err := client.pullBlob(d.repository, writer.blob.Digest, make([]byte, 64<<10))
		return err
	}
	there, err := client.headBlob(d.repository, writer.blob.Digest)
	if err == nil && there {
		err = fmt.Errorf("%s is there, but its writer was refused with %v", writer.blob.Digest, writer.err)
	}
	return err
}
