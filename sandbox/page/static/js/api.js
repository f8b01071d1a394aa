// The control API of the sandbox: everything the page can ask or do.

export class ApiError extends Error {
  constructor(status, body) {
    super(describe(status, body));
    this.status = status;
    this.body = body;
  }
}

function describe(status, body) {
  if (status === 0) return "The sandbox cannot be reached. Is it still running?";
  const said = body?.message ?? body?.error;
  return typeof said === "string" ? `${said} (${status})` : `The sandbox answered ${status}.`;
}

async function call(method, path, body) {
  const options = { method, headers: {} };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new ApiError(0, null);
  }
  const text = await response.text();
  let answer = null;
  try {
    answer = text ? JSON.parse(text) : null;
  } catch {
    answer = null;
  }
  if (!response.ok) throw new ApiError(response.status, answer);
  return answer;
}

const get = (path) => call("GET", path);
const post = (path, body) => call("POST", path, body);
const query = (values) => new URLSearchParams(values).toString();

export const api = {
  features: () => get("/page/config.json"),
  state: () => get("/control/state"),
  messages: (channelId, userId, limit = 100) =>
    get(`/control/channels/${channelId}/messages?${query({ user_id: userId, limit })}`),
  dm: (userId) => post("/control/dm", { user_id: userId }),
  send: (message) => post("/control/messages", message),
  remove: (userId, messageId) =>
    post("/control/messages/delete", { user_id: userId, message_id: messageId }),
  command: (invocation) => post("/control/commands", invocation),
  autocomplete: (invocation) => post("/control/autocomplete", invocation),
  component: (press) => post("/control/components", press),
  modal: (submission) => post("/control/modals", submission),
  interaction: (interactionId) => get(`/control/interactions/${interactionId}`),
  bot: (action) => post("/control/bot", { action }),
  gateway: (action) => post("/control/gateway", action),
  provider: {
    account: () => get("/control/provider/account"),
    pace: () => get("/control/provider/pace"),
    setPace: (pace) => call("PUT", "/control/provider/pace", pace),
    setTasksPace: (pace) => call("PUT", "/control/provider/tasks_pace", pace),
    faults: () => get("/control/provider/faults"),
    fault: (fault) => post("/control/provider/faults", fault),
    clear: () => call("DELETE", "/control/provider/faults"),
  },
};

const EVENTS = [
  "message_create",
  "message_update",
  "message_delete",
  "typing",
  "bot",
  "modal",
  "interaction",
  "channels",
];

/** Listen to what `userId` may see; `onopen` also runs after each reconnect. Returns `close`. */
export function listen(userId, { onevent, onopen, onlost }) {
  const source = new EventSource(`/control/events?${query({ user_id: userId })}`);
  for (const name of EVENTS) {
    source.addEventListener(name, (event) => onevent(name, JSON.parse(event.data)));
  }
  source.onopen = onopen;
  // The browser reconnects by itself unless it was refused.
  source.onerror = () => onlost(source.readyState === EventSource.CLOSED);
  return () => source.close();
}

/** A file as the control API takes it. */
export async function encodeFile(file) {
  const address = await dataAddress(file);
  return {
    filename: file.name,
    content_type: file.type || "application/octet-stream",
    data_base64: address.slice(address.indexOf(",") + 1),
  };
}

export function dataAddress(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

/** What to tell a person about `error`. */
export function explain(error) {
  if (error instanceof ApiError) return error.message;
  console.error(error);
  return "Something in this page went wrong; the console has the details.";
}
