// census, retag, empty: all that repositories of a registry hold, more tags for it, and none of it.

package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// anyManifest is every kind that docker pushes.
const anyManifest = "application/vnd.docker.distribution.manifest.v2+json, " +
	"application/vnd.docker.distribution.manifest.list.v2+json, " + manifestType + ", application/vnd.oci.image.index.v1+json"

// holdings are repositories of a registry, named as the registry names them that they were pushed to.
type holdings struct {
	client *Client
	names  []string
	// The project of names with one part, where the registry has projects.
	project string
}

const holdingsClients = 8

func openHoldings(name string, args []string, more func(*flag.FlagSet)) (*holdings, error) {
	var target Target
	set := newFlags(name)
	list := set.String("repositories", "", "file with a repository per line")
	project := set.String("project", "", "project of repositories whose name has one part")
	more(set)
	if err := parse(set, &target, args); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(*list)
	if err != nil {
		return nil, err
	}
	return &holdings{target.client(holdingsClients), strings.Fields(string(text)), *project}, nil
}

// here is the name that a repository has on this registry.
func (h *holdings) here(name string) string {
	if h.project != "" && !strings.Contains(name, "/") {
		return h.project + "/" + name
	}
	return name
}

// each does something for every repository, several at a time; the first error.
func (h *holdings) each(work func(index int, name string) error) error {
	next, failed := int64(-1), make([]error, holdingsClients)
	parallel(holdingsClients, func(worker int) {
		for failed[worker] == nil {
			index := atomic.AddInt64(&next, 1)
			if index >= int64(len(h.names)) {
				return
			}
			if err := work(int(index), h.names[index]); err != nil {
				failed[worker] = fmt.Errorf("%s: %w", h.names[index], err)
			}
		}
	})
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

// tags lists a repository's tags, page after page.
func (h *holdings) tags(repository string) ([]string, error) {
	var all []string
	for path := "/v2/" + repository + "/tags/list?n=1000"; path != ""; {
		response, body, err := h.client.send(call{method: "GET", path: path, repository: repository}, http.StatusOK)
		if err != nil {
			return nil, err
		}
		var page struct {
			Tags []string `json:"tags"`
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Tags...)
		path = ""
		if link := response.Header.Get("Link"); link != "" {
			path = strings.TrimPrefix(strings.SplitN(link, ">", 2)[0], "<")
		}
	}
	return all, nil
}

func (h *holdings) manifest(repository, reference string) (Blob, string, error) {
	response, body, err := h.client.send(call{method: "GET", path: "/v2/" + repository + "/manifests/" + reference,
		repository: repository, accept: anyManifest}, http.StatusOK)
	if err != nil {
		return Blob{}, "", err
	}
	got := smallBlob(body)
	if stated := response.Header.Get("Docker-Content-Digest"); stated != got.Digest {
		return got, "", &DigestError{got.Digest, got.Size, stated}
	}
	return got, response.Header.Get("Content-Type"), nil
}

// runCensus pulls every tag's manifest and every blob that one of them names, computes all digests anew, and
// writes what it found, sorted: the same lines for the same content.
func runCensus(args []string) error {
	var out *string
	held, err := openHoldings("census", args, func(set *flag.FlagSet) {
		out = set.String("out", "census", "where to write it")
	})
	if err != nil {
		return err
	}
	began := time.Now()
	var mutex sync.Mutex
	var lines []string
	counts := map[string]int64{}
	note := func(kind string, size int64, line string) {
		mutex.Lock()
		defer mutex.Unlock()
		counts[kind]++
		counts[kind+"_bytes"] += size
		lines = append(lines, kind+" "+line)
	}
	err = held.each(func(_ int, name string) error { return held.count(name, note) })
	if err != nil {
		return err
	}
	for _, kind := range []string{"tag", "manifest", "blob"} {
		put(kind+"s", counts[kind])
	}
	put("blob_bytes", counts["blob_bytes"])
	put("seconds", time.Since(began).Seconds())
	sort.Strings(lines)
	return os.WriteFile(*out, []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

func (h *holdings) count(name string, note func(kind string, size int64, line string)) error {
	repository := h.here(name)
	tags, err := h.tags(repository)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, tag := range tags {
		manifest, mediaType, err := h.manifest(repository, tag)
		if err != nil {
			return err
		}
		note("tag", 0, name+":"+tag+" "+manifest.Digest)
		if seen[manifest.Digest] {
			continue
		}
		seen[manifest.Digest] = true
		note("manifest", manifest.Size, fmt.Sprintf("%s@%s %d %s", name, manifest.Digest, manifest.Size, mediaType))
		var named imageManifest
		if err := json.Unmarshal(manifest.bytes, &named); err != nil {
			return err
		}
		for _, blob := range append(named.Layers, named.Config) {
			if seen[blob.Digest] {
				continue
			}
			seen[blob.Digest] = true
			size, err := h.client.pullBlob(repository, blob.Digest, make([]byte, 32<<10))
			if err != nil {
				return err
			}
			note("blob", size, fmt.Sprintf("%s@%s %d", name, blob.Digest, size))
		}
	}
	return nil
}

// runRetag gives the manifests that have a tag more tags, evenly, until there are so many in all.
func runRetag(args []string) error {
	var total *int
	held, err := openHoldings("retag", args, func(set *flag.FlagSet) {
		total = set.Int("total", 300, "tags in all repositories together")
	})
	if err != nil {
		return err
	}
	began, made := time.Now(), int64(0)
	err = held.each(func(index int, name string) error {
		repository := held.here(name)
		tags, err := held.tags(repository)
		if err != nil {
			return err
		}
		if len(tags) == 0 {
			return fmt.Errorf("no tag to begin with")
		}
		manifest, mediaType, err := held.manifest(repository, tags[0])
		if err != nil {
			return err
		}
		share := *total / len(held.names)
		if index < *total%len(held.names) {
			share++
		}
		for number := len(tags); number < share; number++ {
			path := fmt.Sprintf("/v2/%s/manifests/extra-%d", repository, number)
			if _, _, err := held.client.send(call{method: "PUT", path: path, repository: repository,
				body: bytes.NewReader(manifest.bytes), length: manifest.Size, contentType: mediaType},
				http.StatusCreated); err != nil {
				return err
			}
			atomic.AddInt64(&made, 1)
		}
		return nil
	})
	put("made", made)
	put("seconds", time.Since(began).Seconds())
	return err
}

// runEmpty deletes every manifest that has a tag.
func runEmpty(args []string) error {
	held, err := openHoldings("empty", args, func(*flag.FlagSet) {})
	if err != nil {
		return err
	}
	deleted := int64(0)
	err = held.each(func(_ int, name string) error {
		repository := held.here(name)
		for {
			tags, err := held.tags(repository)
			if err != nil || len(tags) == 0 {
				return err
			}
			manifest, _, err := held.manifest(repository, tags[0])
			if err != nil {
				return err
			}
			if _, _, err := held.client.send(call{method: "DELETE", repository: repository,
				path: "/v2/" + repository + "/manifests/" + manifest.Digest}, http.StatusAccepted); err != nil {
				return err
			}
			atomic.AddInt64(&deleted, 1)
		}
	})
	put("deleted", deleted)
	return err
}
