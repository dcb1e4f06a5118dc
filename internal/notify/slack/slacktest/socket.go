package slacktest

import (
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/gorilla/websocket"
)

// Sockets is Slack's end of Socket Mode: each connection is handed to the test.
func (w *Workspace) Sockets() <-chan *websocket.Conn {
	conns := make(chan *websocket.Conn, 4)
	var up websocket.Upgrader
	up.CheckOrigin = func(*http.Request) bool { return true }
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("ticket") != "secret-ticket" {
			w.t.Error("no ticket")
		}
		c, err := up.Upgrade(rw, r, nil)
		if err != nil {
			w.t.Error(err)
			return
		}
		if err := c.WriteJSON(map[string]any{"type": "hello", "num_connections": 1, "connection_info": map[string]any{"app_id": "A1"}}); err != nil {
			w.t.Error(err)
		}
		conns <- c
	}))
	w.t.Cleanup(srv.Close)
	w.Mu.Lock()
	defer w.Mu.Unlock()
	w.Socket = "ws" + strings.TrimPrefix(srv.URL, "http") + "/link?ticket=secret-ticket"
	return conns
}
