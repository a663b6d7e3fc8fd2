// crash: clients that push and delete at random until the server is gone.

package main

import (
	"errors"
	"fmt"
	"math/rand"
	"net/http"
	"os"
	"sort"
	"strings"
	"sync/atomic"
	"time"
)

const (
	crashTags     = 10
	crashUntagged = 12
)

// crashClient works on one repository of its own, whose state it tracks as it goes.
type crashClient struct {
	client     *Client
	journal    *Journal
	repository string
	state      State
	random     *rand.Rand
	tagDelete  bool
}

// serverGone is the end of a connection, as opposed to an answer that should not have been given.
type serverGone struct{ err error }

func (g *serverGone) Error() string { return "server gone: " + g.err.Error() }

func runCrash(args []string) error {
	var target Target
	set := newFlags("crash")
	clients := set.Int("clients", 8, "clients")
	path := set.String("journal", "journal", "journal, read first and then appended to")
	seconds := set.Float64("seconds", 30, "end after so long if the server lives on")
	prefix := set.String("repository", "crash/c", "repository; each client appends its number")
	tagDelete := set.Bool("tag-delete", true, "delete tags too")
	refusals := set.Bool("tolerate-5xx", false, "take a 5xx for the end of the server: its disk may be gone")
	setup := set.Bool("setup", false, "make the project and stop")
	if err := parse(set, &target, args); err != nil {
		return err
	}
	if *setup {
		return target.client(1).createProject(project(*prefix))
	}
	state, err := readState(*path)
	if err != nil {
		return err
	}
	journal, err := openJournal(*path)
	if err != nil {
		return err
	}
	journal.next = int(time.Now().UnixMicro())
	end := time.Now().Add(time.Duration(*seconds * float64(time.Second)))
	var operations, wrong int64
	crew := make([]*crashClient, *clients)
	for index := range crew {
		name := fmt.Sprintf("%s%d", *prefix, index)
		// A state of its own: clients share no map.
		crew[index] = &crashClient{target.client(2), journal, name, State{name: state.repository(name)},
			rand.New(rand.NewSource(int64(newSeed()))), *tagDelete}
	}
	parallel(*clients, func(index int) {
		for time.Now().Before(end) {
			err := crew[index].step()
			var gone *serverGone
			if errors.As(err, &gone) || (*refusals && statusOf(err) >= 500) {
				return
			}
			if err != nil {
				fmt.Fprintf(os.Stderr, "  wrong: %s: %v\n", crew[index].repository, err)
				atomic.AddInt64(&wrong, 1)
				return
			}
			atomic.AddInt64(&operations, 1)
		}
	})
	put("operations", operations)
	put("wrong", wrong)
	if wrong > 0 {
		return fmt.Errorf("%d clients got an answer they should not have", wrong)
	}
	return nil
}

// step does one thing at random.
func (c *crashClient) step() error {
	repository := c.state.repository(c.repository)
	untagged := repository.untagged()
	if len(untagged) > crashUntagged {
		return c.deleteManifest(untagged[c.random.Intn(len(untagged))])
	}
	tags := repository.tagged()
	switch dice := c.random.Intn(20); {
	case dice < 11 || len(tags) == 0:
		return c.push(fmt.Sprintf("t%d", c.random.Intn(crashTags)))
	case dice < 13:
		return c.push("-")
	case dice < 15 && c.tagDelete:
		return c.untag(tags[c.random.Intn(len(tags))])
	case dice < 18:
		for digest := range repository.Tags[tags[c.random.Intn(len(tags))]] {
			return c.deleteManifest(digest)
		}
		return nil
	default:
		return c.dropBlob()
	}
}

// do journals an operation around the request that carries it out.
func (c *crashClient) do(operation string, request func() error) error {
	id := c.journal.begin(operation)
	if err := request(); err != nil {
		if statusOf(err) == 0 {
			return &serverGone{err}
		}
		return fmt.Errorf("%s: %w", operation, err)
	}
	c.journal.acknowledge(id)
	return c.state.apply(strings.Fields(operation), true)
}

func (c *crashClient) push(tag string) error {
	config := randomConfig(newSeed(), 200+c.random.Intn(1000))
	var layers []Blob
	for n := 1 + c.random.Intn(3); n > 0; n-- {
		layers = append(layers, c.layer())
	}
	image := newImage(config, layers, nil)
	seen := map[string]bool{}
	for _, blob := range image.Blobs {
		if seen[blob.Digest] {
			continue
		}
		seen[blob.Digest] = true
		if err := c.pushBlob(blob); err != nil {
			return err
		}
	}
	reference := tag
	if tag == "-" {
		reference = image.Manifest.Digest
	}
	operation := fmt.Sprintf("push %s %s %s %d %s", c.repository, tag, image.Manifest.Digest,
		image.Manifest.Size, formatBlobs(image.Blobs))
	return c.do(operation, func() error {
		return c.client.pushManifest(c.repository, reference, image.Manifest)
	})
}

// layer is new or, one time in four, one of a few that all clients push: the same digest in many repositories at once.
func (c *crashClient) layer() Blob {
	if c.random.Intn(4) == 0 {
		seed := uint64(c.random.Intn(20))
		return randomBlob(seed, 2000+int64(seed)*3000)
	}
	size := int64(c.random.Intn(8 << 10))
	switch c.random.Intn(16) {
	case 0:
		size = int64(c.random.Intn(3 << 20))
	case 1, 2:
		size = int64(c.random.Intn(200 << 10))
	}
	return randomBlob(newSeed(), size)
}

func (c *crashClient) pushBlob(blob Blob) error {
	operation := fmt.Sprintf("blob %s %s %d", c.repository, blob.Digest, blob.Size)
	way := []string{wayPut, wayPatch, wayPost, wayChunks, "mount"}[c.random.Intn(5)]
	if way == "mount" {
		from := fmt.Sprintf("%s%d", strings.TrimRight(c.repository, "0123456789"), c.random.Intn(8))
		mounted := false
		err := c.do(operation, func() error {
			var err error
			mounted, err = c.client.mountBlob(c.repository, from, blob.Digest)
			if err == nil && !mounted {
				err = c.client.pushBlob(c.repository, blob, wayPut)
			}
			return err
		})
		return err
	}
	return c.do(operation, func() error { return c.client.pushBlob(c.repository, blob, way) })
}

func (c *crashClient) untag(tag string) error {
	return c.do(fmt.Sprintf("untag %s %s", c.repository, tag), func() error {
		_, _, err := c.client.send(call{method: "DELETE", path: "/v2/" + c.repository + "/manifests/" + tag,
			repository: c.repository}, http.StatusAccepted)
		return err
	})
}

func (c *crashClient) deleteManifest(digest string) error {
	return c.do(fmt.Sprintf("delete %s %s", c.repository, digest), func() error {
		_, _, err := c.client.send(call{method: "DELETE", path: "/v2/" + c.repository + "/manifests/" + digest,
			repository: c.repository}, http.StatusAccepted)
		return err
	})
}

// dropBlob deletes a blob that no manifest of the repository names.
func (c *crashClient) dropBlob() error {
	repository := c.state.repository(c.repository)
	for digest, blob := range repository.Blobs {
		if blob.State == absent || repository.names(digest) {
			continue
		}
		return c.do(fmt.Sprintf("drop %s %s", c.repository, digest), func() error {
			// 404: collected already, which is as good.
			_, _, err := c.client.send(call{method: "DELETE", path: "/v2/" + c.repository + "/blobs/" + digest,
				repository: c.repository}, http.StatusAccepted, http.StatusNotFound)
			return err
		})
	}
	return nil
}

// tagged lists the tags that certainly point somewhere, sorted.
func (r *RepositoryState) tagged() []string {
	var tags []string
	for tag, targets := range r.Tags {
		if len(targets) == 1 && !targets[""] {
			tags = append(tags, tag)
		}
	}
	sort.Strings(tags)
	return tags
}

// untagged lists the manifests that are certainly there and have no tag, sorted.
func (r *RepositoryState) untagged() []string {
	tagged := map[string]bool{}
	for _, targets := range r.Tags {
		for digest := range targets {
			tagged[digest] = true
		}
	}
	var digests []string
	for digest, manifest := range r.Manifests {
		if manifest.State == present && !tagged[digest] {
			digests = append(digests, digest)
		}
	}
	sort.Strings(digests)
	return digests
}
