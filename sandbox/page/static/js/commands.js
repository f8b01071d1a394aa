// The registered commands as a flat list of what can be invoked.

import { currentChannel, state } from "./state.js";

const CHAT_INPUT = 1;
const MESSAGE = 3;
const SUBCOMMAND = 1;
const GROUP = 2;
// Contexts in which Discord offers a command.
const IN_GUILD = 0;
const IN_BOT_DM = 1;
const SHOWN_MAX = 50;

/** Each invocable command: {path, description, options, hidden}; subcommands are spelled out. */
export function leafCommands() {
  const inDm = currentChannel()?.kind === "dm";
  return state.commands
    .filter((command) => (command.type ?? CHAT_INPUT) === CHAT_INPUT && fits(command, inDm))
    .flatMap((command) => leaves(command, command.name, !inDm && isHidden(command)))
    .sort((one, other) => one.path.localeCompare(other.path));
}

/** The names of the commands that can be used on a message, as its menu shows them. */
export function messageCommands() {
  const inDm = currentChannel()?.kind === "dm";
  return state.commands
    .filter((command) => command.type === MESSAGE && fits(command, inDm))
    .filter((command) => inDm || !isHidden(command))
    .map((command) => command.name)
    .sort((one, other) => one.localeCompare(other));
}

export const isMessageCommand = (name) =>
  state.commands.some((command) => command.type === MESSAGE && command.name === name);

function fits(command, inDm) {
  if (command.contexts) return command.contexts.includes(inDm ? IN_BOT_DM : IN_GUILD);
  return !(inDm && command.dm_permission === false);
}

// Discord hides a command from members who lack the permissions it was registered with.
function isHidden(command) {
  const needed = command.default_member_permissions;
  return needed !== null && needed !== undefined && !state.me?.staff;
}

function leaves(command, path, hidden) {
  const options = command.options ?? [];
  const nested = options.filter((one) => one.type === SUBCOMMAND || one.type === GROUP);
  if (!nested.length) return [{ path, description: command.description ?? "", options, hidden }];
  return nested.flatMap((one) => leaves(one, `${path} ${one.name}`, hidden));
}

/** The visible commands that fit what was typed after the slash, best first. */
export function matchCommands(typed) {
  const wanted = typed.trim().toLowerCase();
  const visible = leafCommands().filter((one) => !one.hidden);
  const starting = visible.filter((one) => one.path.startsWith(wanted));
  const within = visible.filter((one) => !one.path.startsWith(wanted) && one.path.includes(wanted));
  return [...starting, ...within].slice(0, SHOWN_MAX);
}
