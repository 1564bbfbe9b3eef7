// Serves aedes over every transport until standard input ends:
//
//   node serve.mjs MODULES FOLDER [PORT...]
//
// MODULES is the folder that has node_modules, FOLDER the one with the certificates, where the Unix socket is put. Prints one line with the ports
// of TCP, TLS, mutual TLS, WebSocket and secure WebSocket, which are the given ones, or else of the system's choice.

import { readFileSync, rmSync } from 'node:fs'
import { createServer as http } from 'node:http'
import { createServer as https } from 'node:https'
import { createRequire } from 'node:module'
import { createServer as tcp } from 'node:net'
import { createServer as tls } from 'node:tls'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const [modules, folder, ...ports] = process.argv.slice(2)
const { resolve } = createRequire(join(modules, 'package.json'))
const { Aedes } = await import(pathToFileURL(join(modules, 'node_modules', 'aedes', 'aedes.js')))
const { WebSocketServer, createWebSocketStream } = (await import(pathToFileURL(resolve('ws')))).default

const read = (name) => readFileSync(join(folder, name))
const ours = { cert: read('server.pem'), key: read('server.key') }
const mutual = { ...ours, ca: read('ca.pem'), requestCert: true, rejectUnauthorized: true }

// More than a client has in flight: it is not the broker's pace that is tested.
const broker = await Aedes.createBroker({ concurrency: 1000 })
const quick = (stream) => { stream.setNoDelay?.(true); broker.handle(stream) }

const overWebSocket = (server) => {
  const sockets = new WebSocketServer({ server, handleProtocols: (offered) => offered.has('mqtt') && 'mqtt' })
  sockets.on('connection', (socket, request) => {
    request.socket.setNoDelay(true)
    broker.handle(createWebSocketStream(socket), request)
  })
  return server
}

const servers = [tcp(quick), tls(ours, quick), tls(mutual, quick), overWebSocket(http()), overWebSocket(https(ours))]
const listening = (server, where) => new Promise((done) => server.listen(where, done))
for (const [at, server] of servers.entries()) await listening(server, { host: '127.0.0.1', port: Number(ports[at] ?? 0) })
const socket = join(folder, 'socket')
rmSync(socket, { force: true })
await listening(tcp(quick), { path: socket })
console.log(servers.map((server) => server.address().port).join(' '))

// Whoever started it has gone, or wants no more of it.
process.stdin.resume().on('end', () => process.exit(0))
