// Starts `qtnc lsp` for .qtn files and hands it to VS Code. All that it knows is where the server is.

const path = require("path");
const { commands, window, workspace } = require("vscode");
const { LanguageClient, TransportKind } = require("vscode-languageclient/node");

let client;

function root() {
  const folder = workspace.workspaceFolders && workspace.workspaceFolders[0];
  return folder && folder.uri.scheme === "file" ? folder.uri.fsPath : undefined;
}

function serverOptions() {
  const [command, ...args] = workspace.getConfiguration("qtnc").get("command");
  const here = root();
  const relative = here && !path.isAbsolute(command) && /[\\/]/.test(command);
  return {
    command: relative ? path.join(here, command) : command,
    args,
    options: { cwd: here },
    transport: TransportKind.stdio,
  };
}

async function start() {
  client = new LanguageClient("qtnc", "qtnc", serverOptions(), {
    documentSelector: [{ language: "qtn" }],
    initializationOptions: { model: workspace.getConfiguration("qtnc").get("model") },
    synchronize: {
      configurationSection: "qtnc",
      fileEvents: ["**/*.qtn", "**/*.onnx"].map((glob) => workspace.createFileSystemWatcher(glob)),
    },
  });
  try {
    await client.start();
  } catch {
    client = undefined;
    window.showErrorMessage(
      "qtnc: the language server does not start. Install it by `pip install 'qtnc[lsp]'`, " +
        "or say in the setting qtnc.command where it is."
    );
  }
}

async function stop() {
  const running = client;
  client = undefined;
  if (running) {
    await running.stop();
  }
}

async function restart() {
  await stop();
  await start();
}

async function activate(context) {
  context.subscriptions.push(
    commands.registerCommand("qtnc.restart", restart),
    workspace.onDidChangeConfiguration((event) => event.affectsConfiguration("qtnc.command") && restart())
  );
  await start();
}

module.exports = { activate, deactivate: stop };
