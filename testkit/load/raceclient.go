// One client of the race: what it does to the server, and what it holds against it.

package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"net/http"
	"sort"
	"strings"
	"time"
)

// raceClient owns some images and looks at those of all.
type raceClient struct {
	run    *raceRun
	client *Client
	number int
	random *rand.Rand
	own    []*raceImage
	// tags maps `REPOSITORY TAG` to what it points at; no other client sets these tags.
	tags map[string]*raceImage
}

// step does one thing: what is due, or something at random.
func (c *raceClient) step() error {
	for _, image := range c.own {
		if time.Now().After(image.until) {
			return c.delete(image)
		}
	}
	switch dice := c.random.Intn(10); {
	case dice < 4:
		return c.push()
	case dice < 5:
		return c.untag()
	case dice < 6:
		return c.probe()
	case dice < 7:
		return c.checkTag()
	default:
		return c.check()
	}
}

// push uploads what the server lacks, as docker does, and then the manifest.
func (c *raceClient) push() error {
	image, life := c.compose()
	repository := c.repository()
	tag, reference := "-", image.Manifest.Digest
	if c.random.Intn(3) > 0 {
		tag = fmt.Sprintf("c%d-%d", c.number, c.random.Intn(raceTags))
		reference = tag
	}
	for try := 0; try < raceTries; try++ {
		for _, blob := range image.Blobs {
			if err := c.provide(repository, blob); err != nil {
				return err
			}
		}
		if c.random.Intn(150) == 0 {
			// A client that takes its time: what it found may be collected before it refers to it.
			time.Sleep(time.Duration(c.random.Int63n(int64(c.run.grace * 3 / 2))))
		}
		err := c.client.pushManifest(repository, reference, image.Manifest)
		if err == nil {
			return c.pushed(repository, tag, image, life)
		}
		if !refusedForBlob(err) {
			return err
		}
		c.run.count("refused")
	}
	return fmt.Errorf("%s: refused %d times, although every blob had been found or uploaded", repository, raceTries)
}

// compose makes an image, and says how long it is to live. Most are of blobs that are in use now and live
// for part of the grace; a few live long, all on the same few blobs, which are never collected. An
// annotation makes each manifest its own.
func (c *raceClient) compose() (Image, time.Duration) {
	configs, layers := c.run.active()
	life := time.Duration(c.random.Int63n(int64(c.run.grace / 2)))
	if c.random.Intn(20) == 0 {
		configs, layers = c.run.blobs[:1], c.run.blobs[raceConfigs:raceConfigs+3]
		life = c.run.grace * 6
	}
	var chosen []Blob
	for _, index := range c.random.Perm(len(layers))[:1+c.random.Intn(3)] {
		chosen = append(chosen, layers[index])
	}
	notes := map[string]string{"test.race": fmt.Sprintf("%d %x", c.number, newSeed())}
	return newImage(configs[c.random.Intn(len(configs))], chosen, notes), life
}

func (c *raceClient) repository() string {
	return c.run.repositories[c.random.Intn(len(c.run.repositories))]
}

// provide sees to it that the repository has the blob: it is there, or is mounted, or is uploaded.
func (c *raceClient) provide(repository string, blob Blob) error {
	there, err := c.client.headBlob(repository, blob.Digest)
	if err != nil {
		return err
	}
	if there {
		c.run.count("found")
		return nil
	}
	if c.random.Intn(2) == 0 {
		if from := c.repository(); from != repository {
			return c.mount(repository, from, blob)
		}
	}
	c.run.count("uploads")
	ways := []string{wayPut, wayPatch, wayPost, wayChunks}
	return c.client.pushBlob(repository, blob, ways[c.random.Intn(len(ways))])
}

// mount asks for the blob of another repository, and uploads to where it is told if that has it no more.
func (c *raceClient) mount(repository, from string, blob Blob) error {
	response, _, err := c.client.send(call{method: "POST", repository: repository + "," + from, body: http.NoBody,
		path: "/v2/" + repository + "/blobs/uploads/?mount=" + blob.Digest + "&from=" + from},
		http.StatusCreated, http.StatusAccepted)
	if err != nil {
		return err
	}
	if response.StatusCode == http.StatusCreated {
		c.run.count("mounts")
		return nil
	}
	c.run.count("uploads")
	location, err := c.client.location(response)
	if err != nil {
		return err
	}
	return c.client.finishUpload(repository, location, blob.Digest, blob.reader(), blob.Size)
}

func refusedForBlob(err error) bool {
	status, is := err.(*StatusError)
	return is && status.Code < 500 && strings.Contains(status.Body, "MANIFEST_BLOB_UNKNOWN")
}

// pushed notes an acknowledged manifest, which this client deletes when its time has come.
func (c *raceClient) pushed(repository, tag string, image Image, life time.Duration) error {
	made := &raceImage{repository: repository, image: image, until: time.Now().Add(life)}
	c.own = append(c.own, made)
	if tag != "-" {
		c.tags[repository+" "+tag] = made
	}
	c.run.mutex.Lock()
	c.run.live = append(c.run.live, made)
	c.run.counts["pushes"]++
	c.run.mutex.Unlock()
	return c.run.acknowledged("push", repository, tag, image.Manifest.Digest,
		fmt.Sprint(image.Manifest.Size), formatBlobs(image.Blobs))
}

// delete deletes a manifest of this client and its tags with it.
func (c *raceClient) delete(image *raceImage) error {
	c.run.doom(image)
	for index, other := range c.own {
		if other == image {
			c.own = append(c.own[:index], c.own[index+1:]...)
			break
		}
	}
	for name, target := range c.tags {
		if target == image {
			delete(c.tags, name)
		}
	}
	if err := c.remove(image.repository, image.image.Manifest.Digest); err != nil {
		return err
	}
	c.run.count("deletes")
	return c.run.acknowledged("delete", image.repository, image.image.Manifest.Digest)
}

// untag deletes one of this client's tags; the manifest stays.
func (c *raceClient) untag() error {
	name := c.anyTag()
	if name == "" {
		return c.push()
	}
	delete(c.tags, name)
	repository, tag, _ := strings.Cut(name, " ")
	if err := c.remove(repository, tag); err != nil {
		return err
	}
	c.run.count("untags")
	return c.run.acknowledged("untag", repository, tag)
}

// remove deletes a manifest or tag, which is gone once that is acknowledged.
func (c *raceClient) remove(repository, reference string) error {
	path := "/v2/" + repository + "/manifests/" + reference
	if _, _, err := c.client.send(call{method: "DELETE", path: path, repository: repository},
		http.StatusAccepted); err != nil {
		return err
	}
	_, _, err := c.client.send(call{method: "HEAD", path: path, repository: repository, accept: manifestType},
		http.StatusNotFound)
	return err
}

func (c *raceClient) anyTag() string {
	names := make([]string, 0, len(c.tags))
	for name := range c.tags {
		names = append(names, name)
	}
	if len(names) == 0 {
		return ""
	}
	sort.Strings(names)
	return names[c.random.Intn(len(names))]
}

// checkTag asks for one of this client's tags, which leads where it was last set to.
func (c *raceClient) checkTag() error {
	name := c.anyTag()
	if name == "" {
		return c.check()
	}
	repository, tag, _ := strings.Cut(name, " ")
	got, err := c.client.pullManifest(repository, tag)
	if err != nil {
		return err
	}
	c.run.count("tags_pulled")
	if expected := c.tags[name].image.Manifest.Digest; got.Digest != expected {
		return fmt.Errorf("%s:%s leads to %s instead of %s", repository, tag, got.Digest, expected)
	}
	return nil
}

// check pulls an image of any client whole. It may fail only where its deletion was asked for meanwhile.
func (c *raceClient) check() error {
	image := c.run.some(c.random)
	if image == nil {
		return c.push()
	}
	err := c.pull(image)
	if err == nil {
		c.run.count("pulls")
		return nil
	}
	if status := statusOf(err); c.run.isDoomed(image) && status > 0 && status < 500 {
		c.run.count("pulls_overtaken")
		return nil
	}
	return fmt.Errorf("acknowledged and not deleted: %s@%s: %w", image.repository, image.image.Manifest.Digest, err)
}

func (c *raceClient) pull(image *raceImage) error {
	got, err := c.client.pullManifest(image.repository, image.image.Manifest.Digest)
	if err != nil {
		return err
	}
	if got.Digest != image.image.Manifest.Digest {
		return fmt.Errorf("its bytes are those of %s", got.Digest)
	}
	var named imageManifest
	if err := json.Unmarshal(got.bytes, &named); err != nil {
		return err
	}
	for _, blob := range append(named.Layers, named.Config) {
		if _, err := c.client.pullBlob(image.repository, blob.Digest, make([]byte, 32<<10)); err != nil {
			return err
		}
	}
	return nil
}

// probe asks for any blob anywhere: whole, or not there.
func (c *raceClient) probe() error {
	blob := c.run.blobs[c.random.Intn(len(c.run.blobs))]
	_, err := c.client.pullBlob(c.repository(), blob.Digest, make([]byte, 32<<10))
	if statusOf(err) == http.StatusNotFound {
		c.run.count("probes_404")
		return nil
	}
	c.run.count("probes_200")
	return err
}
