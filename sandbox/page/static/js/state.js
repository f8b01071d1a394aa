// What the page knows, and who wants to hear about changes. No DOM here.

import { api, listen } from "./api.js";

const REMEMBERED = "atelier-sandbox";
// A lost stream of events would leave a press pending for ever; after this we ask once.
const CHECK_AFTER_MS = 4000;
const RECONNECT_MS = 2000;

export const state = {
  connected: false,
  botOnline: false,
  features: { provider: false, bot: false },
  guild: { id: "", name: "" },
  users: [],
  channels: [],
  commands: [],
  botUser: null,
  me: null,
  channelId: null,
  messages: new Map(), // id → message of the current channel, oldest first
  typing: new Map(), // user id → when the mark ends
  pending: new Map(), // interaction id → {label, channelId, messageId, customId, state, error}
  labels: new Map(), // interaction id → the whole command, which messages do not tell
  unread: new Set(),
  replyTo: null,
};

const listeners = new Map();

export function on(topic, listener) {
  if (!listeners.has(topic)) listeners.set(topic, new Set());
  listeners.get(topic).add(listener);
}

export function emit(topic, detail) {
  for (const listener of listeners.get(topic) ?? []) listener(detail);
}

export const currentChannel = () => state.channels.find((one) => one.id === state.channelId);
export const visibleChannels = () =>
  state.channels.filter((one) => !one.users || one.users.includes(state.me?.id));
export const findUser = (id) =>
  state.users.find((one) => one.id === id) ?? (state.botUser?.id === id ? state.botUser : null);
export const nameOf = (user) =>
  user?.display_name ?? user?.global_name ?? user?.name ?? user?.username ?? "Someone";

export function remember(values) {
  try {
    const known = JSON.parse(localStorage.getItem(REMEMBERED) ?? "{}");
    localStorage.setItem(REMEMBERED, JSON.stringify({ ...known, ...values }));
  } catch {
    // Private windows may refuse storage; the page works without it.
  }
}

export function recall(name) {
  try {
    return JSON.parse(localStorage.getItem(REMEMBERED) ?? "{}")[name];
  } catch {
    return undefined;
  }
}

/** First load: the world, then the remembered user and channel. */
export async function start() {
  state.features = await api.features();
  await refresh();
  await switchUser(recall("user") ?? state.users[0]?.id);
}

/** Read the world anew; what is on screen stays. */
export async function refresh() {
  const world = await api.state();
  state.guild = world.guild;
  state.users = world.users.filter((user) => !user.bot);
  state.channels = world.channels;
  state.commands = world.commands ?? [];
  state.botOnline = world.bot_online;
  const told = world.bot && { ...world.bot, bot: true };
  state.botUser = told ?? world.users.find((user) => user.bot) ?? state.botUser ?? guessBot();
  if (state.me) state.me = state.users.find((user) => user.id === state.me.id) ?? state.me;
  refreshedMs = Date.now();
  emit("world");
}

// Applications share their id with their bot user, and commands name their application.
function guessBot() {
  const id = state.commands.find((command) => command.application_id)?.application_id;
  return id ? { id, name: state.guild.name, bot: true } : null;
}

let refreshedMs = 0;

/** Commands come and go without an event; whoever shows them asks first. */
export async function refreshIfOlder(ageMs) {
  if (Date.now() - refreshedMs < ageMs) return false;
  await refresh();
  return true;
}

let stopListening = () => {};

export async function switchUser(userId) {
  state.me = state.users.find((user) => user.id === userId) ?? state.users[0];
  remember({ user: state.me.id });
  state.pending.clear();
  state.typing.clear();
  state.replyTo = null;
  await api.dm(state.me.id);
  await refresh();
  subscribe();
  const wanted = state.channelId ?? recall("channel");
  const known = visibleChannels().find((one) => one.id === wanted);
  await openChannel((known ?? firstChannel()).id);
  emit("user");
}

function subscribe() {
  stopListening();
  let opened = false;
  stopListening = listen(state.me.id, {
    onevent: receive,
    onopen: () => {
      state.connected = true;
      emit("connection");
      if (opened) resume().catch(() => {});
      opened = true;
    },
    onlost: (forGood) => {
      state.connected = false;
      emit("connection");
      if (forGood) setTimeout(subscribe, RECONNECT_MS);
    },
  });
}

// After a gap the stream does not repeat what was missed, and the sandbox may be a new one.
async function resume() {
  await api.dm(state.me.id);
  await refresh();
  if (currentChannel()) await loadMessages();
  else await openChannel(firstChannel().id);
}

const firstChannel = () =>
  visibleChannels().find((one) => one.kind === "text") ?? visibleChannels()[0];

export async function openChannel(channelId) {
  state.channelId = channelId;
  state.replyTo = null;
  state.messages = new Map();
  state.unread.delete(channelId);
  remember({ channel: channelId });
  emit("channel");
  emit("reply");
  await loadMessages();
}

async function loadMessages() {
  const channelId = state.channelId;
  const { messages } = await api.messages(channelId, state.me.id);
  if (channelId !== state.channelId) return;
  state.messages = new Map(messages.filter((one) => !one.deleted).map((one) => [one.id, one]));
  for (const message of messages) noticeBot(message);
  emit("messages");
}

function noticeBot(message) {
  const author = message.author;
  if (author?.bot && !state.botUser && !message.webhook_id) state.botUser = author;
}

function receive(name, data) {
  if (name === "message_create" || name === "message_update") receiveMessage(data.message ?? data);
  else if (name === "message_delete") forgetMessage(data);
  else if (name === "typing") receiveTyping(data);
  else if (name === "bot") receiveBot(data);
  else if (name === "modal") receiveModal(data);
  else if (name === "interaction") receiveInteraction(data);
  else refresh().catch(() => {});
}

function receiveMessage(message) {
  if (message.ephemeral_for && message.ephemeral_for !== state.me.id) return;
  noticeBot(message);
  if (message.channel_id !== state.channelId) {
    if (!state.channels.some((one) => one.id === message.channel_id)) refresh().catch(() => {});
    state.unread.add(message.channel_id);
    emit("unread");
    return;
  }
  state.typing.delete(message.author?.id);
  const known = state.messages.get(message.id);
  // An event carries only the newest earlier version; the page keeps the ones before it.
  const earlier = known?.history ?? [];
  const fresh = (message.history ?? []).filter((one) => !(one.at_ms <= earlier.at(-1)?.at_ms));
  state.messages.set(message.id, { ...message, history: [...earlier, ...fresh] });
  emit(known ? "message" : "messages", message.id);
  emit("typing");
}

export function forgetMessage(data) {
  const id = data.message_id ?? data.id;
  if (state.messages.delete(id)) emit("messages");
}

function receiveTyping(data) {
  if (data.channel_id !== state.channelId || data.user_id === state.me.id) return;
  state.typing.set(data.user_id, Date.now() + 10_000);
  emit("typing");
}

function receiveBot(data) {
  state.botOnline = data.online ?? data.bot_online ?? false;
  emit("bot");
  refresh().catch(() => {});
}

// Told twice: by its own event and by the state of the interaction.
const shownModals = new Set();

function receiveModal(data) {
  if (data.user_id && data.user_id !== state.me.id) return;
  if (shownModals.has(data.interaction_id)) return;
  shownModals.add(data.interaction_id);
  if (state.pending.has(data.interaction_id)) settle(data.interaction_id);
  else keepEarly(data.interaction_id, { ...data, id: data.interaction_id, state: "answered" });
  emit("modal", data);
}

function receiveInteraction(data) {
  const id = data.interaction_id ?? data.id;
  const entry = state.pending.get(id);
  if (!entry) {
    if (data.state !== "pending") keepEarly(id, data);
    return;
  }
  if (data.state === "failed") {
    entry.state = "failed";
    entry.error = data.error;
    emit("pending", entry);
  } else if (data.state !== "pending") {
    settle(id);
    if (data.modal) receiveModal({ interaction_id: id, modal: data.modal });
  }
}

// A quick answer can overtake the reply to the press that caused it.
const early = new Map();
const EARLY_MAX = 50;

function keepEarly(id, data) {
  early.set(id, data);
  if (early.size > EARLY_MAX) early.delete(early.keys().next().value);
}

function settle(id) {
  const entry = state.pending.get(id);
  if (!entry) return;
  state.pending.delete(id);
  emit("pending", entry);
}

/** Follow an interaction from its press to its first answer. */
export function follow(interactionId, entry) {
  const full = { state: "pending", channelId: state.channelId, id: interactionId, ...entry };
  state.pending.set(interactionId, full);
  if (entry.label) label(interactionId, entry.label);
  emit("pending", full);
  if (early.has(interactionId)) receiveInteraction(early.get(interactionId));
  setTimeout(() => check(interactionId), CHECK_AFTER_MS);
}

function label(interactionId, words) {
  state.labels.set(interactionId, words);
  for (const message of state.messages.values()) {
    if (message.interaction_metadata?.id === interactionId) emit("message", message.id);
  }
}

async function check(interactionId) {
  if (state.pending.get(interactionId)?.state !== "pending") return;
  try {
    receiveInteraction({ ...(await api.interaction(interactionId)), id: interactionId });
  } catch {
    receiveInteraction({ id: interactionId, state: "failed" });
  }
}

export function dismissPending(id) {
  settle(id);
}

export function setReply(message) {
  state.replyTo = message;
  emit("reply");
}
