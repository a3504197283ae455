// One server: its process, and what VS Code is told when it ends.

const { spawn } = require("child_process");
const { once } = require("events");
const { CloseAction, LanguageClient } = require("vscode-languageclient/node");

const LONGEST = 500; // characters of what is said last
const GRACE = 2000; // milliseconds for a server to leave by itself

class Server extends LanguageClient {
  constructor(run, options) {
    super("qtnc", "qtnc", () => this.spawned(run), {
      ...options,
      errorHandler: {
        error: (...told) => this.usual.error(...told),
        // One that ends before it has begun would end again.
        closed: () => (this.begun ? this.usual.closed() : { action: CloseAction.DoNotRestart, handled: true }),
      },
      initializationFailedHandler: () => false,
    });
    this.usual = this.createDefaultErrorHandler();
    this.begun = false;
    this.abandoned = false;
    this.said = "";
  }

  async spawned({ command, args, cwd }) {
    this.child = spawn(command, args, { cwd });
    this.left = new Promise((resolve) => this.child.once("close", resolve));
    await once(this.child, "spawn");
    if (this.abandoned) {
      this.abandon();
    }
    this.child.stderr.on("data", (data) => (this.said = (this.said + data).slice(-LONGEST)));
    this.child.on("error", (failure) => this.outputChannel.appendLine(failure.message));
    return this.child;
  }

  // What goes wrong before it has begun is told once, by who starts it.
  error(message, data, shown) {
    super.error(message, data, this.begun && shown);
  }

  async begin() {
    try {
      await this.start();
    } catch (failure) {
      await this.gone();
      throw failure;
    }
    this.begun = true;
  }

  // What it says last may come after the pipe that broke.
  async gone() {
    if (this.child) {
      this.child.stdin.destroy();
      await Promise.race([this.left, new Promise((resolve) => setTimeout(resolve, GRACE))]);
      this.child.kill("SIGKILL");
    }
  }

  // What it said last on stderr.
  get reason() {
    return this.said.trim().split("\n").pop();
  }

  // One that hangs in its start cannot be asked to leave, and is not waited for.
  abandon() {
    this.abandoned = !this.begun;
    if (this.abandoned && this.child) {
      this.child.kill("SIGKILL");
    }
  }

  async end() {
    const { child } = this;
    setTimeout(() => child.kill("SIGKILL"), GRACE).unref();
    await this.dispose();
  }
}

module.exports = { Server };
