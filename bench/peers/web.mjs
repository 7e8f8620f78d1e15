// What a Node developer would write for the same two routes:
//
//     node web.mjs PORT [REDIS_SOCKET]
//
// GET / answers a constant with fastify; POST /jobs, where a Redis is given,
// puts a job into a BullMQ queue and answers 202 with its id. Ends by SIGTERM.
import Fastify from "fastify";

const [port, socket] = process.argv.slice(2);
const web = Fastify({ logger: false });

web.get("/", async () => "Hello, async C!");

if (socket) {
  const { Queue } = await import("bullmq");
  const queue = new Queue("bench", { connection: { path: socket } });
  web.post("/jobs", async (request, reply) => {
    const job = await queue.add(request.body.task, request.body.args);
    reply.code(202);
    return { id: job.id };
  });
}

process.on("SIGTERM", () => process.exit(0));
await web.listen({ host: "127.0.0.1", port: Number(port) });
