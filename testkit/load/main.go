// Command load is the client side of `cargo xtask bench` and `cargo xtask soak`.
//
// It speaks TLS and HTTP/1.1 with keep-alive to a registry, times what it does, and prints one
// `key value` pair per line, which xtask reads. It uses nothing but Go's standard library.
package main

import (
	"fmt"
	"os"
	"sort"
)

type command struct {
	run  func(args []string) error
	help string
}

var commands = map[string]command{
	"seed":         {runSeed, "push one blob or one small image and print its digests"},
	"small-images": {runSmallImages, "push small, all-new images with several clients"},
	"push":         {runPush, "push blobs of a given size in one or more streams"},
	"pull":         {runPull, "pull blobs in one or more streams and check their digests"},
	"download":     {runDownload, "pull one blob again and again for a while"},
	"commit":       {runCommit, "push one large blob and time the answer after its last byte"},
	"s3-push":      {runS3Push, "push one object to an S3 server in parts"},
	"quota":        {runQuota, "push many blobs at once into a project with room for some of them"},
	"spread":       {runSpread, "push with many clients into one project or many"},
	"mixed":        {runMixed, "push and pull many large blobs at once"},
	"crash":        {runCrash, "push and delete at random, keeping a journal, until the server is gone"},
	"race":         {runRace, "push, mount, delete and pull images of shared blobs while the server collects garbage"},
	"resume":       {runResume, "push one blob that goes on where the server says whenever it is cut, and pull it"},
	"duel":         {runDuel, "two writers on one upload session, each through another replica"},
	"across":       {runAcross, "delete through one replica and ask the other"},
	"census":       {runCensus, "pull all that repositories hold and write down what it is"},
	"retag":        {runRetag, "put more tags on what repositories hold"},
	"empty":        {runEmpty, "delete every manifest of repositories"},
	"verify":       {runVerify, "hold the server to what the journal says it acknowledged"},
	"tokens":       {runTokens, "request tokens with Basic credentials"},
	"login":        {runLogin, "time logins with credentials the server has not seen yet"},
	"hold":         {runHold, "keep connections busy, run a command meanwhile, report failures"},
	"drain":        {runDrain, "send SIGTERM under load and check what becomes of each request"},
	"fill":         {runFill, "push many manifests quickly"},
	"ready":        {runReady, "wait until a URL answers"},
	"pages":        {runPages, "ask for pages of lists and for manifests, and check what comes"},
	"tagged":       {runTagged, "push images under numbered tags"},
	"referrers":    {runReferrers, "push one subject and many referrers of it"},
	"deletion":     {runDeletion, "delete manifests, time each, and see that nothing of them is left"},
	"paced":        {runPaced, "push and pull at a fixed rate"},
	"objects":      {runObjects, "put small objects into an S3 bucket"},
	"unread":       {runUnread, "take all there is at one address, and be served at another"},
}

func main() {
	if len(os.Args) < 2 {
		usage()
		os.Exit(2)
	}
	chosen, known := commands[os.Args[1]]
	if !known {
		usage()
		os.Exit(2)
	}
	if err := chosen.run(os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "load %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

func usage() {
	names := make([]string, 0, len(commands))
	for name := range commands {
		names = append(names, name)
	}
	sort.Strings(names)
	fmt.Fprintln(os.Stderr, "usage: load COMMAND [flags]; every command takes -help")
	for _, name := range names {
		fmt.Fprintf(os.Stderr, "  %-14s %s\n", name, commands[name].help)
	}
}
