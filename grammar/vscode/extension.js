// Starts `qtnc lsp` for .qtn files and hands it to VS Code. All that it knows is where the server is.

const { commands, window, workspace } = require("vscode");
const { located } = require("./command");
const { Server } = require("./server");

const SETTING = "qtnc.command";

let server;
let output;
let watchers;
let home;
let pending = Promise.resolve();

function folders() {
  return (workspace.workspaceFolders || []).filter(({ uri }) => uri.scheme === "file").map(({ uri }) => uri.fsPath);
}

// What is in a folder that is not trusted is neither run nor where a command runs, lest it take its settings from there.
function program() {
  const trusted = workspace.isTrusted ? folders() : [];
  const { command, args, problem } = located(workspace.getConfiguration("qtnc").get("command"), trusted);
  if (problem) {
    const restricted = workspace.isTrusted ? "" : " Paths in this folder are not taken before you trust it.";
    throw new Error(problem + restricted);
  }
  return { command, args, cwd: trusted[0] || home };
}

function clientOptions() {
  return {
    documentSelector: ["file", "untitled"].map((scheme) => ({ scheme, language: "qtn" })),
    initializationOptions: { model: workspace.getConfiguration("qtnc").get("model") },
    outputChannel: output,
    synchronize: { configurationSection: "qtnc", fileEvents: watchers },
    middleware: { provideCompletionItem: completed },
  };
}

// A segment of a name and an option are followed by more, which VS Code asks for at characters that are typed alone.
async function completed(document, position, context, token, next) {
  const found = await next(document, position, context, token);
  for (const item of (found && found.items) || found || []) {
    const text = item.insertText || item.label;
    if (typeof text === "string" && /(?:[./]|: )$/.test(text)) {
      item.command = { command: "editor.action.triggerSuggest", title: "What may follow" };
    }
  }
  return found;
}

async function start() {
  let run;
  try {
    run = program();
  } catch (error) {
    return complain(`${error.message} Install qtnc by \`pip install 'qtnc[lsp]'\`, or say in ${SETTING} where it is.`);
  }
  server = new Server(run, clientOptions());
  try {
    await server.begin();
  } catch (error) {
    const { abandoned, reason } = server;
    server = undefined;
    if (!abandoned) {
      const shown = [run.command, ...run.args].join(" ");
      complain(`\`${shown}\` does not start as a language server: ${reason || error.message}`);
    }
  }
}

// Shown without being waited for: the next start does not hang on a message that nobody closes.
function complain(message) {
  output.appendLine(message);
  window.showErrorMessage(`qtnc: ${message}`, "Open Settings", "Show Output").then((chosen) => {
    if (chosen === "Open Settings") {
      commands.executeCommand("workbench.action.openSettings", SETTING);
    } else if (chosen) {
      output.show();
    }
  });
}

async function stop() {
  const running = server;
  server = undefined;
  if (running) {
    await running.end();
  }
}

// One after the other.
function restart() {
  if (server) {
    server.abandon();
  }
  const noted = (error) => output.appendLine(error.message);
  pending = pending.then(stop).catch(noted).then(start).catch(noted);
  return pending;
}

function deactivate() {
  if (server) {
    server.abandon();
  }
  return pending.then(stop);
}

// VS Code carries out no command before this is done: it does not wait for the server.
function activate(context) {
  home = context.extensionPath;
  output = window.createOutputChannel("qtnc");
  watchers = ["**/*.qtn", "**/*.onnx"].map((glob) => workspace.createFileSystemWatcher(glob));
  context.subscriptions.push(
    output,
    ...watchers,
    commands.registerCommand("qtnc.restart", restart),
    workspace.onDidGrantWorkspaceTrust(restart),
    workspace.onDidChangeConfiguration((event) => event.affectsConfiguration(SETTING) && restart())
  );
  restart();
}

module.exports = { activate, deactivate };
