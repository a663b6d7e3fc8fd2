// race: clients that push, mount, delete and pull images made of the same few blobs, while the server
// collects what nobody refers to. Whatever was acknowledged and not deleted has to be there, whole, at all
// times; a push may be refused because a blob went that the client had just found, and is then begun anew.

package main

import (
	"fmt"
	"math/rand"
	"os"
	"sort"
	"sync"
	"time"
)

const (
	raceBlobs   = 50 // shared by all clients
	raceConfigs = 10 // of which so many are configs
	raceActive  = 12 // in use at a time; the others rest, so that they are collected and wanted again
	raceTags    = 3  // per client and repository
	raceTries   = 50 // of one push, before being refused is a failure
)

// raceImage is a manifest that was acknowledged. It belongs to the client that pushed it.
type raceImage struct {
	repository string
	image      Image
	until      time.Time
	// doomed is set before its deletion is asked for; from then on it may be gone.
	doomed bool
}

// raceRun is what all clients share.
type raceRun struct {
	target       *Target
	seed         int64
	grace        time.Duration
	began        time.Time
	blobs        []Blob
	repositories []string
	mutex        sync.Mutex
	state        State
	live         []*raceImage
	counts       map[string]int64
	failures     []string
	failed       int64
}

func runRace(args []string) error {
	var target Target
	set := newFlags("race")
	clients := set.Int("clients", 16, "clients")
	seconds := set.Float64("seconds", 60, "how long")
	grace := set.Float64("grace", 5, "seconds that the server keeps what nothing refers to")
	journal := set.String("journal", "journal", "where to write what has to be there at the end, for verify")
	if err := parse(set, &target, args); err != nil {
		return err
	}
	run := &raceRun{target: &target, seed: int64(newSeed()), grace: duration(*grace), state: State{},
		blobs: raceContent(), counts: map[string]int64{}}
	for _, name := range []string{"race-a", "race-b"} {
		if err := target.client(1).createProject(name); err != nil {
			return err
		}
		for n := 0; n < 3; n++ {
			run.repositories = append(run.repositories, fmt.Sprintf("%s/r%d", name, n))
		}
	}
	run.began = time.Now()
	end := run.began.Add(duration(*seconds))
	parallel(*clients, func(index int) {
		client := &raceClient{run, target.client(2), index, rand.New(rand.NewSource(run.seed + int64(index))), nil, map[string]*raceImage{}}
		for time.Now().Before(end) && run.healthy() {
			if err := client.step(); err != nil {
				run.fail(fmt.Errorf("client %d: %w", index, err))
			}
		}
	})
	if err := writeState(*journal, run.state); err != nil {
		return err
	}
	return run.report()
}

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

// raceContent is the same in each run. One layer is empty, a few are large enough for several parts.
func raceContent() []Blob {
	var blobs []Blob
	for seed := uint64(1); len(blobs) < raceConfigs; seed++ {
		blobs = append(blobs, randomConfig(seed, 300+int(seed)*50))
	}
	blobs = append(blobs, randomBlob(0, 0))
	for seed := uint64(100); len(blobs) < raceBlobs; seed++ {
		size := int64(1000 + 1777*(seed-100))
		if seed%8 == 0 {
			size = int64(300_000 * (1 + seed%3))
		}
		blobs = append(blobs, randomBlob(seed, size))
	}
	return blobs
}

// healthy ends a run early that has failed often enough to be understood.
func (r *raceRun) healthy() bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.failed < 20
}

func (r *raceRun) fail(err error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.failed++
	r.failures = append(r.failures, fmt.Sprintf("%.1f s: %v", time.Since(r.began).Seconds(), err))
}

func (r *raceRun) count(what string) {
	r.mutex.Lock()
	r.counts[what]++
	r.mutex.Unlock()
}

// active lists the configs and layers in use at this moment: others than a while ago, and the same for
// all clients, so that blobs rest for about the grace and are then wanted by many at once.
func (r *raceRun) active() (configs, layers []Blob) {
	epoch := int64(time.Since(r.began) / (r.grace * 2 / 3))
	random := rand.New(rand.NewSource(r.seed ^ epoch*0x9E3779B9))
	for _, index := range random.Perm(raceBlobs) {
		if index < raceConfigs && len(configs) < 3 {
			configs = append(configs, r.blobs[index])
		}
		if index >= raceConfigs && len(layers) < raceActive-3 {
			layers = append(layers, r.blobs[index])
		}
	}
	return configs, layers
}

// some is an image of any client that nobody has asked to delete, or nil.
func (r *raceRun) some(random *rand.Rand) *raceImage {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if len(r.live) == 0 {
		return nil
	}
	return r.live[random.Intn(len(r.live))]
}

func (r *raceRun) isDoomed(image *raceImage) bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return image.doomed
}

// doom takes an image out of what others may count on.
func (r *raceRun) doom(image *raceImage) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	image.doomed = true
	for index, other := range r.live {
		if other == image {
			r.live = append(r.live[:index], r.live[index+1:]...)
			return
		}
	}
}

// acknowledged notes an operation of the journal's kind.
func (r *raceRun) acknowledged(operation ...string) error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.state.apply(operation, true)
}

// report prints what was done, and what has to be stored and charged now that it is over.
func (r *raceRun) report() error {
	names := make([]string, 0, len(r.counts))
	for name := range r.counts {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		put(name, r.counts[name])
	}
	put("seconds", time.Since(r.began).Seconds())
	stored := map[string]int64{}
	charged := map[string]map[string]int64{}
	for _, repository := range r.repositories {
		charged[project(repository)] = map[string]int64{}
	}
	for _, image := range r.live {
		of := charged[project(image.repository)]
		of[image.image.Manifest.Digest] = image.image.Manifest.Size
		for _, blob := range image.image.Blobs {
			stored[blob.Digest] = blob.Size
			of[blob.Digest] = blob.Size
		}
	}
	put("live_manifests", len(r.live))
	put("reachable_blobs", len(stored))
	put("reachable_bytes", sum(stored))
	for name, of := range charged {
		put("usage_"+name, sum(of))
	}
	for _, text := range r.failures {
		fmt.Fprintln(os.Stderr, "  failed:", text)
	}
	if r.failed > 0 {
		return fmt.Errorf("%d requests were not answered as they had to be", r.failed)
	}
	return nil
}

func sum(sizes map[string]int64) int64 {
	total := int64(0)
	for _, size := range sizes {
		total += size
	}
	return total
}
