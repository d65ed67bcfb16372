// Command centrifuge fans out records to WebSocket clients with the library of that name, as a yardstick.
//
// It reads a record, already JSON, from each line of standard input and publishes it on one channel, to which whoever connects
// may subscribe. It prints "ready PORT". No Kafka and no decoding is in what it costs, and no history in what it promises.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/centrifugal/centrifuge"
)

const (
	channel      = "records"
	path         = "/connection/websocket"
	maxLineBytes = 1 << 20
)

func main() {
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		log.Fatal(err)
	}
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{
			Credentials: &centrifuge.Credentials{},
			// A client of the swarm would have to answer: what is measured is records alone.
			PingPongConfig: &centrifuge.PingPongConfig{PingInterval: -1, PongTimeout: -1},
		}, nil
	})
	node.OnConnect(func(client *centrifuge.Client) {
		client.OnSubscribe(func(_ centrifuge.SubscribeEvent, reply centrifuge.SubscribeCallback) {
			reply(centrifuge.SubscribeReply{}, nil)
		})
	})
	if err := node.Run(); err != nil {
		log.Fatal(err)
	}
	http.Handle(path, centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{}))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(http.Serve(listener, nil)) }()
	fmt.Printf("ready %d\n", listener.Addr().(*net.TCPAddr).Port)
	publish(node)
}

// publish sends every line of standard input to all subscribers, until it ends.
func publish(node *centrifuge.Node) {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, maxLineBytes)
	for lines.Scan() {
		record := append([]byte(nil), lines.Bytes()...)
		if _, err := node.Publish(channel, record); err != nil {
			log.Fatal(err)
		}
	}
}
