// Which file the setting `qtnc.command` starts.

const fs = require("fs");
const os = require("os");
const path = require("path");

function runs(file) {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

// Windows leaves the ending out.
function endings() {
  return process.platform === "win32" ? ["", ".exe"] : [""];
}

function first(places, name) {
  const files = places.flatMap((place) => endings().map((ending) => path.join(place, name + ending)));
  return files.find(runs);
}

// The command and its arguments, or the problem. A path that is relative starts in one of the folders; a name is looked
// for on PATH alone, and not where we are: neither as Windows does it, nor by an entry such as `.`.
function located(setting, folders) {
  const words = Array.isArray(setting) && setting.every((word) => typeof word === "string") ? setting : [];
  const [name, ...args] = words;
  if (!name) {
    return { problem: "qtnc.command is a list of a program and its arguments, such as [\"qtnc\", \"lsp\"]." };
  }
  const file = name.replace(/^~(?=[\\/])/, os.homedir());
  if (path.isAbsolute(file)) {
    return first([""], file) ? { command: first([""], file), args } : { problem: `There is no program \`${name}\`.` };
  }
  if (/[\\/]/.test(file)) {
    const found = first(folders, file);
    return found ? { command: found, args } : { problem: `There is no program \`${name}\` in the workspace.` };
  }
  const places = (process.env.PATH || "").split(path.delimiter).filter((place) => path.isAbsolute(place));
  const found = first(places, file);
  return found ? { command: found, args } : { problem: `\`${name}\` is not on the PATH that VS Code has.` };
}

module.exports = { located };
