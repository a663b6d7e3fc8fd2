// The command paced: pushes and pulls at a fixed rate, whatever the server makes of them.

package main

import (
	"fmt"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func runPaced(args []string) error {
	var target Target
	set := newFlags("paced")
	seconds := set.Int("seconds", 5, "how long")
	pushes := set.Int("pushes", 40, "small images pushed in a second")
	pulls := set.Int("pulls", 200, "manifests pulled in a second")
	repository := set.String("repository", "paced/r", "where")
	tags := set.Int("tags", 100, "images that are pulled in turn")
	if err := parse(set, &target, args); err != nil {
		return err
	}
	client := target.client(32)
	if err := client.createProject(project(*repository)); err != nil {
		return err
	}
	if err := client.fillOnce(*repository, *tags); err != nil {
		return err
	}
	images := makeSmallImages(*pushes * *seconds)
	meter := startMeter(target.PIDs)
	var group sync.WaitGroup
	group.Add(2)
	var pushed, pulled []time.Duration
	go func() {
		defer group.Done()
		pushed = pace(meter, *pushes, *seconds, func(number int) error {
			return client.pushImage(*repository, fmt.Sprintf("p%d", number), images[number], wayPut, false)
		})
	}()
	go func() {
		defer group.Done()
		pulled = pace(meter, *pulls, *seconds, func(number int) error {
			_, err := client.pullManifest(*repository, fmt.Sprintf("t%06d", number%*tags))
			return err
		})
	}()
	group.Wait()
	for name, times := range map[string][]time.Duration{"push": pushed, "pull": pulled} {
		put(name+"_count", len(times))
		put(name+"_p50_ms", quantile(times, 0.50))
		put(name+"_p99_ms", quantile(times, 0.99))
	}
	return meter.report()
}

// pace begins an operation every so often, and takes its time from when it was to begin: what makes others
// wait is not left out. The times are sorted.
func pace(meter *Meter, perSecond, seconds int, work func(number int) error) []time.Duration {
	count := perSecond * seconds
	times := make([]time.Duration, count)
	var next int64 = -1
	began := time.Now()
	parallel(16, func(int) {
		for {
			number := int(atomic.AddInt64(&next, 1))
			if number >= count {
				return
			}
			due := began.Add(time.Duration(number) * time.Second / time.Duration(perSecond))
			time.Sleep(time.Until(due))
			if err := work(number); err != nil {
				meter.fail(err)
			}
			times[number] = time.Since(due)
		}
	})
	sort.Slice(times, func(a, b int) bool { return times[a] < times[b] })
	return times
}

// fillOnce pushes the images to pull where an earlier run did not.
func (c *Client) fillOnce(repository string, tags int) error {
	_, err := c.pullManifest(repository, fmt.Sprintf("t%06d", tags-1))
	if err == nil {
		return nil
	}
	if statusOf(err) != 404 {
		return err
	}
	config, layer, err := c.pushTwo(repository)
	if err != nil {
		return err
	}
	for number := 0; number < tags; number++ {
		image := newImage(config, []Blob{layer}, map[string]string{"number": strings.Repeat("x", number)})
		if err := c.pushManifest(repository, fmt.Sprintf("t%06d", number), image.Manifest); err != nil {
			return err
		}
	}
	return nil
}

// makeSmallImages makes images of a config and a layer, all of their own, ahead of time.
func makeSmallImages(count int) []Image {
	images := make([]Image, count)
	for number := range images {
		images[number] = newImage(randomConfig(newSeed(), 1024), []Blob{randomBlob(newSeed(), 4096)}, nil)
	}
	return images
}
