// llhttp.js PORT: node's HTTP server, whose parser is llhttp, on 127.0.0.1; it
// answers each request as the echo view of the front's tests does.
const http = require('http')

const server = http.createServer({ keepAlive: true }, (req, res) => {
  let length = 0
  req.on('data', (piece) => { length += piece.length })
  req.on('end', () => {
    const text = `${req.method} ${req.url} ${length}\n`
    res.writeHead(200, { 'Content-Length': Buffer.byteLength(text) })
    res.end(text)
  })
})
server.on('checkContinue', (req, res) => server.emit('request', req, res))
server.keepAliveTimeout = 1000
server.listen(Number(process.argv[2]), '127.0.0.1')
