// The commands that move many or large things: seed, small-images, push, pull, mixed, fill.

package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

func newFlags(name string) *flag.FlagSet { return flag.NewFlagSet("load "+name, flag.ExitOnError) }

func project(repository string) string { return strings.SplitN(repository, "/", 2)[0] }

// warm opens the connection and fetches the token, so that neither is part of what is measured.
func (c *Client) warm(repository string) error {
	_, err := c.headBlob(repository, smallBlob([]byte("no such blob")).Digest)
	return err
}

// parseSize reads 4096, 4K, 256M or 1G.
func parseSize(text string) (int64, error) {
	units := map[string]int64{"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
	factor := int64(1)
	if n := len(text); n > 0 {
		if unit, ok := units[strings.ToUpper(text[n-1:])]; ok {
			factor, text = unit, text[:n-1]
		}
	}
	number, err := strconv.ParseInt(text, 10, 64)
	return number * factor, err
}

func runSeed(args []string) error {
	var target Target
	set := newFlags("seed")
	repository := set.String("repository", "bench/seed", "where to push")
	tag := set.String("tag", "", "push an image with this tag instead of one blob")
	size := set.String("size", "2K", "size of the blob, or of the image's layer")
	padding := set.Int("padding", 0, "bytes of annotation in the manifest")
	out := set.String("out", "", "also write the blob, or the manifest, to this file")
	if err := parse(set, &target, args); err != nil {
		return err
	}
	bytes, err := parseSize(*size)
	if err != nil {
		return err
	}
	client := target.client(1)
	if err := client.createProject(project(*repository)); err != nil {
		return err
	}
	blob := randomBlob(newSeed(), bytes)
	if err := client.pushBlob(*repository, blob, wayPut); err != nil {
		return err
	}
	kept := blob
	if *tag != "" {
		config := randomConfig(newSeed(), 1024)
		if err := client.pushBlob(*repository, config, wayPut); err != nil {
			return err
		}
		var annotations map[string]string
		if *padding > 0 {
			annotations = map[string]string{"padding": strings.Repeat("x", *padding)}
		}
		kept = newImage(config, []Blob{blob}, annotations).Manifest
		if err := client.pushManifest(*repository, *tag, kept); err != nil {
			return err
		}
	}
	if err := client.pullBack(*repository, *tag, kept.Digest); err != nil {
		return err
	}
	put("digest", kept.Digest)
	put("size", kept.Size)
	put("cipher", target.cipher())
	authorization, err := client.authorization(*repository)
	if err != nil {
		return err
	}
	put("authorization", authorization)
	if *out == "" {
		return nil
	}
	file, err := os.Create(*out)
	if err != nil {
		return err
	}
	if _, err := bufio.NewReader(kept.reader()).WriteTo(file); err != nil {
		return err
	}
	return file.Close()
}

// pullBack sees that what was pushed is what is pulled: the manifest of a tag or, without one, a blob.
func (c *Client) pullBack(repository, tag, digest string) error {
	if tag == "" {
		_, err := c.pullBlob(repository, digest, make([]byte, 256<<10))
		return err
	}
	manifest, err := c.pullManifest(repository, tag)
	if err == nil && manifest.Digest != digest {
		err = fmt.Errorf("pulled %s instead of %s", manifest.Digest, digest)
	}
	return err
}

func runSmallImages(args []string) error {
	var target Target
	set := newFlags("small-images")
	clients := set.Int("clients", 8, "clients at once")
	count := set.Int("count", 400, "images in all")
	way := set.String("way", wayPut, "put, patch or post")
	head := set.Bool("head", false, "ask for each blob with HEAD first, as docker does")
	prefix := set.String("repository", "bench/small", "repository; each client appends its number")
	if err := parse(set, &target, args); err != nil {
		return err
	}
	if err := target.client(1).createProject(project(*prefix)); err != nil {
		return err
	}
	images := make([]Image, *count)
	for index := range images {
		layers := []Blob{randomBlob(newSeed(), 4096), randomBlob(newSeed(), 4096)}
		images[index] = newImage(randomConfig(newSeed(), 4096-200), layers, nil)
	}
	crew := make([]*Client, *clients)
	for index := range crew {
		crew[index] = target.client(1)
		if err := crew[index].warm(fmt.Sprintf("%s-%d", *prefix, index)); err != nil {
			return err
		}
	}
	run := time.Now().UnixNano()
	meter := startMeter(target.PIDs)
	parallel(*clients, func(index int) {
		repository := fmt.Sprintf("%s-%d", *prefix, index)
		for number := index; number < *count; number += *clients {
			began := time.Now()
			tag := fmt.Sprintf("t%d-%d", run, number)
			if err := crew[index].pushImage(repository, tag, images[number], *way, *head); err != nil {
				meter.fail(err)
				continue
			}
			meter.done(began, 3*4096)
		}
	})
	return meter.report()
}

func (c *Client) pushImage(repository, reference string, image Image, way string, head bool) error {
	for _, blob := range image.Blobs {
		if head {
			if _, err := c.headBlob(repository, blob.Digest); err != nil {
				return err
			}
		}
		if err := c.pushBlob(repository, blob, way); err != nil {
			return err
		}
	}
	return c.pushManifest(repository, reference, image.Manifest)
}

func runPush(args []string) error {
	var target Target
	set := newFlags("push")
	streams := set.Int("streams", 1, "streams at once")
	count := set.Int("count", 0, "blobs in all (default: one for each stream)")
	size := set.String("size", "1G", "bytes of each")
	way := set.String("way", wayPut, "put, patch, post or chunks")
	repository := set.String("repository", "bench/push", "where to push")
	out := set.String("out", "", "append the digests to this file")
	if err := parse(set, &target, args); err != nil {
		return err
	}
	bytes, err := parseSize(*size)
	if err != nil {
		return err
	}
	if *count == 0 {
		*count = *streams
	}
	if err := target.client(1).createProject(project(*repository)); err != nil {
		return err
	}
	blobs := makeBlobs(*count, bytes)
	client := target.client(*streams)
	if err := client.warm(*repository); err != nil {
		return err
	}
	meter := startMeter(target.PIDs)
	parallel(*streams, func(index int) {
		for number := index; number < *count; number += *streams {
			began := time.Now()
			if err := client.pushBlob(*repository, blobs[number], *way); err != nil {
				meter.fail(err)
				continue
			}
			meter.done(began, bytes)
		}
	})
	if err := meter.report(); err != nil {
		return err
	}
	if *out == "" {
		return nil
	}
	lines := ""
	for _, blob := range blobs {
		lines += blob.Digest + "\n"
	}
	return os.WriteFile(*out, []byte(lines), 0o644)
}

// makeBlobs hashes on two threads, ahead of time.
func makeBlobs(count int, size int64) []Blob {
	blobs := make([]Blob, count)
	base()
	parallel(2, func(index int) {
		for number := index; number < count; number += 2 {
			blobs[number] = randomBlob(newSeed(), size)
		}
	})
	return blobs
}

func readDigests(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	digests := strings.Fields(string(text))
	if len(digests) == 0 {
		return nil, fmt.Errorf("no digest in %s", path)
	}
	return digests, nil
}

func runPull(args []string) error {
	var target Target
	set := newFlags("pull")
	streams := set.Int("streams", 1, "streams at once")
	count := set.Int("count", 0, "pulls in all (default: one for each stream)")
	repository := set.String("repository", "bench/push", "where to pull from")
	list := set.String("digests", "", "file with digests, used in turn")
	if err := parse(set, &target, args); err != nil {
		return err
	}
	digests, err := readDigests(*list)
	if err != nil {
		return err
	}
	if *count == 0 {
		*count = *streams
	}
	client := target.client(*streams)
	if err := client.warm(*repository); err != nil {
		return err
	}
	meter := startMeter(target.PIDs)
	parallel(*streams, func(index int) {
		buffer := make([]byte, 256<<10)
		for number := index; number < *count; number += *streams {
			began := time.Now()
			bytes, err := client.pullBlob(*repository, digests[number%len(digests)], buffer)
			if err != nil {
				meter.fail(err)
				continue
			}
			meter.done(began, bytes)
		}
	})
	return meter.report()
}

func runMixed(args []string) error {
	var target Target
	set := newFlags("mixed")
	pushes := set.Int("pushes", 64, "blobs pushed at once")
	pulls := set.Int("pulls", 64, "blobs pulled at once")
	size := set.String("size", "256M", "bytes of each push")
	repository := set.String("repository", "bench/push", "where")
	list := set.String("digests", "", "file with the digests to pull")
	if err := parse(set, &target, args); err != nil {
		return err
	}
	bytes, err := parseSize(*size)
	if err != nil {
		return err
	}
	digests, err := readDigests(*list)
	if err != nil {
		return err
	}
	blobs := makeBlobs(*pushes, bytes)
	client := target.client(*pushes + *pulls)
	if err := client.warm(*repository); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "begin")
	meter := startMeter(target.PIDs)
	parallel(*pushes+*pulls, func(index int) {
		began := time.Now()
		var err error
		if index < *pushes {
			err = client.pushBlob(*repository, blobs[index], []string{wayPut, wayPatch}[index%2])
		} else {
			_, err = client.pullBlob(*repository, digests[(index-*pushes)%len(digests)], make([]byte, 256<<10))
		}
		if err != nil {
			meter.fail(err)
			return
		}
		meter.done(began, bytes)
	})
	return meter.report()
}

func runFill(args []string) error {
	var target Target
	set := newFlags("fill")
	clients := set.Int("clients", 32, "clients at once")
	count := set.Int("count", 100000, "manifests in all")
	repositories := set.Int("repositories", 100, "repositories they are spread over")
	prefix := set.String("repository", "fill/r", "repository; a number is appended")
	if err := parse(set, &target, args); err != nil {
		return err
	}
	client := target.client(*clients)
	if err := client.createProject(project(*prefix)); err != nil {
		return err
	}
	config, layer := randomConfig(newSeed(), 1024), randomBlob(newSeed(), 4096)
	for number := 0; number < *repositories; number++ {
		repository := fmt.Sprintf("%s%d", *prefix, number)
		for _, blob := range []Blob{config, layer} {
			if err := client.pushBlob(repository, blob, wayPut); err != nil {
				return err
			}
		}
	}
	meter := startMeter(target.PIDs)
	parallel(*clients, func(index int) {
		for number := index; number < *count; number += *clients {
			began := time.Now()
			image := newImage(config, []Blob{layer}, map[string]string{"number": fmt.Sprint(number, newSeed())})
			repository := fmt.Sprintf("%s%d", *prefix, number%*repositories)
			if err := client.pushManifest(repository, fmt.Sprintf("t%06d", number), image.Manifest); err != nil {
				meter.fail(err)
				continue
			}
			meter.done(began, image.Manifest.Size)
		}
	})
	return meter.report()
}
