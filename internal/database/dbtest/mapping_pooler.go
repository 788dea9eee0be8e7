package dbtest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"tenantry/internal/database"
)

// mappingPooler imitates a pooler in transaction mode that maps prepared statements, as PgBouncer
// does from 1.21 on with max_prepared_statements: a client's statement is prepared on the server
// connection that runs its next transaction. It ignores unknown start-up parameters, and supports
// neither COPY nor cancel requests.
type mappingPooler struct {
	t       testing.TB
	servers chan *pooledServer
}

// pooledServer is a connection to the server, and the names that are prepared on it.
type pooledServer struct {
	*pgproto3.Frontend
	prepared map[string]bool
}

// ThroughMappingPooler returns the options of the same database, reached through a pooler with a
// few server connections that maps prepared statements.
func ThroughMappingPooler(t testing.TB, opts database.Options, connections int) database.Options {
	t.Helper()
	dsn, err := url.Parse(opts.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := &mappingPooler{t, make(chan *pooledServer, connections)}
	for range connections {
		p.servers <- p.connect(dsn)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go p.serve(client)
		}
	}()
	dsn.Host = listener.Addr().String()
	opts.URL = dsn.String()
	return opts
}

// connect opens a connection to the server, which must trust its clients.
func (p *mappingPooler) connect(dsn *url.URL) *pooledServer {
	p.t.Helper()
	conn, err := net.Dial("tcp", dsn.Host)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	s := &pooledServer{pgproto3.NewFrontend(conn, conn), map[string]bool{}}
	s.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{
		"user": dsn.User.Username(), "database": dsn.Path[1:],
	}})
	if err := s.Flush(); err != nil {
		p.t.Fatal(err)
	}
	for {
		message, err := s.Receive()
		if err != nil {
			p.t.Fatal(err)
		}
		switch m := message.(type) {
		case *pgproto3.ErrorResponse:
			p.t.Fatal(m.Message)
		case *pgproto3.ReadyForQuery:
			return s
		}
	}
}

// pooledClient is a connection of a client, with its own names of statements.
type pooledClient struct {
	*pgproto3.Backend
	statements map[string]*pgproto3.Parse
	// server runs the client's transaction. It is nil between two transactions.
	server *pooledServer
	// injected counts the replies to messages that the pooler has added.
	injected int
}

func (p *mappingPooler) serve(conn net.Conn) {
	defer conn.Close()
	c := &pooledClient{Backend: pgproto3.NewBackend(conn, conn), statements: map[string]*pgproto3.Parse{}}
	if m, err := c.ReceiveStartupMessage(); err != nil {
		return
	} else if _, ok := m.(*pgproto3.StartupMessage); !ok {
		return
	}
	c.Send(&pgproto3.AuthenticationOk{})
	c.Send(&pgproto3.ParameterStatus{Name: "server_version", Value: "15.0"})
	c.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if c.Flush() != nil {
		return
	}
	for {
		message, err := c.Receive()
		if _, over := message.(*pgproto3.Terminate); err != nil || over {
			break
		}
		if c.server == nil {
			c.server = <-p.servers
		}
		if err := c.pass(message); err != nil {
			break
		}
		switch message.(type) {
		case *pgproto3.Sync, *pgproto3.Query:
			status, err := c.relay()
			if err != nil {
				return // the server connection is closed too
			}
			if status == 'I' {
				p.servers <- c.server
				c.server = nil
			}
		}
	}
	if c.server != nil { // in mid-transaction
		c.server.Send(&pgproto3.Query{String: "ROLLBACK"})
		_, _ = c.relay()
		p.servers <- c.server
	}
}

// pass sends a message to the server with the server's statement names.
func (c *pooledClient) pass(message pgproto3.FrontendMessage) error {
	switch m := message.(type) {
	case *pgproto3.Parse:
		if m.Name == "" {
			break
		}
		own := &pgproto3.Parse{Name: fmt.Sprintf("%.16x", sha256.Sum256([]byte(m.Query))), Query: m.Query,
			ParameterOIDs: append([]uint32{}, m.ParameterOIDs...)}
		c.statements[m.Name] = own
		if c.server.prepared[own.Name] {
			c.Send(&pgproto3.ParseComplete{})
			return nil
		}
		c.server.prepared[own.Name], message = true, own
	case *pgproto3.Bind:
		m.PreparedStatement = c.mapped(m.PreparedStatement)
	case *pgproto3.Describe:
		if m.ObjectType == 'S' {
			m.Name = c.mapped(m.Name)
		}
	case *pgproto3.Close:
		if m.ObjectType == 'S' {
			delete(c.statements, m.Name)
			c.Send(&pgproto3.CloseComplete{})
			return nil
		}
	case *pgproto3.CopyData, *pgproto3.CopyDone, *pgproto3.CopyFail:
		return errors.New("COPY is not supported")
	}
	c.server.Send(message)
	return nil
}

// mapped returns the server's name of a statement. It prepares the statement if the server
// connection lacks it.
func (c *pooledClient) mapped(name string) string {
	own, ok := c.statements[name]
	if !ok {
		return name
	}
	if !c.server.prepared[own.Name] {
		c.server.prepared[own.Name] = true
		c.server.Send(own)
		c.injected++
	}
	return own.Name
}

// relay passes the replies to the client until the server is ready again.
func (c *pooledClient) relay() (status byte, err error) {
	if err := c.server.Flush(); err != nil {
		return 0, err
	}
	for {
		message, err := c.server.Receive()
		if err != nil {
			return 0, err
		}
		if _, ok := message.(*pgproto3.ParseComplete); ok && c.injected > 0 {
			c.injected--
			continue
		}
		c.Send(message)
		if ready, ok := message.(*pgproto3.ReadyForQuery); ok {
			c.injected = 0 // after an error the server does not reply to the others
			return ready.TxStatus, c.Flush()
		}
	}
}
