// The inbox page. What senders wrote goes into the document by textContent alone (the page's policy enforces it), or
// into the frame that the sandbox builds for it.

const ROW = 68; // pixels, as --row in page.css
const WINDOW = 100; // messages that are fetched at once
const SHOWN_SOURCE = 256 * 1024; // bytes of a source that are shown
const PAGE = "/_sandbox/page";

let events = null; // what happens in the sandbox, as it happens

const byId = (id) => document.getElementById(id);
const narrow = matchMedia("(max-width: 860px)");

// ------------------------------------------------------------------------------------------------------------- helpers

function make(tag, properties = {}, ...children) {
  const { data = {}, ...others } = properties;
  const node = Object.assign(document.createElement(tag), others);
  Object.assign(node.dataset, data);
  node.append(...children);
  return node;
}

async function ask(path, method = "GET", body = undefined) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.message ?? `status ${answer.status}`);
  return value;
}

function say(text) {
  const log = byId("live");
  log.append(make("span", { textContent: `${text}. ` }));
  while (log.childElementCount > 5) log.firstElementChild.remove();
}

function attempt(action) {
  return async (...values) => {
    try {
      await action(...values);
    } catch (error) {
      say(`That failed: ${error.message}`);
      showStatus("lost", `That failed: ${error.message}`);
      setTimeout(showConnection, 5000);
    }
  };
}

function showStatus(kind, text) {
  const status = byId("status");
  status.className = `status ${kind}`;
  if (status.textContent !== text) status.textContent = text;
}

function showConnection() {
  if (events?.readyState === EventSource.OPEN) showStatus("live", "Live");
  else showStatus("lost", "Reconnecting…");
}

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copyBySelection(text); // a page over plain HTTP from another machine has no clipboard of its own
  }
  const label = button.textContent;
  button.textContent = "Copied";
  say("Copied");
  setTimeout(() => { button.textContent = label; }, 1200);
}

function copyBySelection(text) {
  const area = make("textarea", { value: text, className: "unseen" });
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

function copyButton(text, what) {
  const button = make("button", { type: "button", className: "copy", textContent: "Copy", ariaLabel: `Copy ${what}` });
  button.addEventListener("click", () => copy(text, button));
  return button;
}

const time = (iso) => new Date(iso).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const moment = (iso) => new Date(iso).toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });

function when(iso) {
  const isToday = new Date(iso).toDateString() === new Date().toDateString();
  return isToday ? time(iso) : new Date(iso).toLocaleDateString([], { day: "numeric", month: "short" });
}

function bytes(count) {
  if (count < 1024) return `${count} bytes`;
  return count < 1024 * 1024 ? `${(count / 1024).toFixed(1)} KiB` : `${(count / 1024 / 1024).toFixed(1)} MiB`;
}

function life(seconds) {
  if (seconds <= 0) return "expired";
  const whole = Math.floor(seconds);
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)} left` : `${minutes}:${two(whole % 60)} left`;
}

// As a POSIX shell reads it: an address may be made by a stranger's mail, and the line is made to be pasted.
const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

const sender = (message) => message.from_name || message.from_email || "(no sender)";
const subject = (message) => message.subject.trim() || "(no subject)";

// --------------------------------------------------------------------------------------------------- where the page is

// The address's fragment says what is shown, so that the browser's "back", reloading and bookmarks work.
function place() {
  const hash = location.hash.slice(1);
  const values = new URLSearchParams(hash);
  return { isRefused: hash === "refused", mailbox: values.get("mailbox"), message: values.get("message") };
}

function go({ mailbox = null, message = null, isRefused = false }) {
  const values = new URLSearchParams();
  if (mailbox) values.set("mailbox", mailbox);
  if (message) values.set("message", message);
  location.hash = isRefused ? "refused" : String(values);
}

function showPane(name) {
  document.body.dataset.pane = name;
}

// ------------------------------------------------------------------------------------------------------------ mailboxes

const mailboxes = { known: [], more: 0, fetchedAt: 0, isFrozen: false };

async function loadMailboxes() {
  const answer = await ask(`${PAGE}/mailboxes`);
  mailboxes.known = answer.mailboxes;
  mailboxes.fetchedAt = performance.now();
  mailboxes.isFrozen = answer.is_frozen;
  byId("count-all").textContent = answer.messages;
  byId("count-refused").textContent = answer.refused;
  mailboxes.more = answer.total - answer.mailboxes.length;
  byId("more-mailboxes").hidden = mailboxes.more === 0;
  byId("more-mailboxes").textContent = `and ${mailboxes.more} older ones`;
  showMailboxes();
}

function showMailboxes() {
  const list = byId("mailboxes");
  const rows = new Map([...list.children].map((row) => [row.dataset.email, row]));
  const wanted = mailboxes.known.map((box) => rows.get(box.email) ?? mailboxRow(box));
  const gone = new Set(list.children);
  wanted.forEach((row, index) => {
    gone.delete(row);
    if (list.children[index] !== row) list.insertBefore(row, list.children[index] ?? null);
    row.querySelector(".count").textContent = mailboxes.known[index].messages;
  });
  for (const row of gone) row.remove();
  showLives();
  markPlace();
}

function mailboxRow({ email }) {
  const life = make("span", { className: "life", data: { testid: "life" } });
  const names = make("span", {}, make("span", { className: "address", textContent: email, title: email }), life);
  const link = make("a", { data: { testid: "mailbox" } }, names, make("span", { className: "count" }));
  link.href = `#${new URLSearchParams({ mailbox: email })}`;
  const remove = make("button", { type: "button", className: "remove", textContent: "×", data: { testid: "delete-mailbox" } });
  remove.ariaLabel = remove.title = `Delete ${email}`;
  remove.addEventListener("click", attempt(async () => {
    await ask(`${PAGE}/mailboxes/${encodeURIComponent(email)}`, "DELETE");
    if (place().mailbox === email) go({});
    await refresh();
  }));
  return make("li", { data: { email } }, link, remove);
}

function showLives() {
  const gone = mailboxes.isFrozen ? 0 : (performance.now() - mailboxes.fetchedAt) / 1000;
  [...byId("mailboxes").children].forEach((row, index) => {
    const box = mailboxes.known[index];
    const text = life(box.expires_in_seconds - gone) + (mailboxes.isFrozen ? " (clock frozen)" : "");
    const shown = row.querySelector(".life");
    if (shown.textContent !== text) shown.textContent = text;
  });
}

function markPlace() {
  const { mailbox, isRefused } = place();
  const current = (link, is) => (is ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current"));
  current(byId("view-all"), !mailbox && !isRefused);
  current(byId("view-refused"), isRefused);
  for (const row of byId("mailboxes").children) current(row.querySelector("a"), row.dataset.email === mailbox);
}

// ----------------------------------------------------------------------------------------------------- list of messages

// Only the rows that can be seen are in the document, and only the windows that were seen have been fetched.
const list = { mailbox: undefined, total: 0, rows: new Map(), fresh: new Set(), active: 0, version: 0 };

async function loadList(mailbox) {
  const isOther = list.mailbox !== mailbox;
  if (isOther) Object.assign(list, { mailbox, total: 0, active: 0, rows: new Map() });
  list.version += 1;
  list.fresh = new Set();
  if (isOther) byId("messages").scrollTop = 0;
  await fetchWindow(Math.floor(firstSeen() / WINDOW));
  await drawRows();
}

const firstSeen = () => Math.max(0, Math.floor(byId("messages").scrollTop / ROW));

async function fetchWindow(number) {
  if (list.fresh.has(number)) return;
  list.fresh.add(number);
  const { mailbox, version } = list;
  const values = new URLSearchParams({ offset: number * WINDOW, limit: WINDOW, ...(mailbox && { mailbox }) });
  const answer = await ask(`${PAGE}/messages?${values}`);
  if (version !== list.version) return; // of a list that is no longer shown
  keepInPlace(answer.total - list.total);
  list.total = answer.total;
  answer.messages.forEach((message, index) => list.rows.set(number * WINDOW + index, message));
}

// New mail comes in at the top: what somebody reads further down stays where it is.
function keepInPlace(added) {
  const box = byId("messages");
  if (added <= 0 || list.total === 0) return;
  list.rows = new Map([...list.rows].map(([index, message]) => [index + added, message]));
  list.active += list.active > 0 || document.activeElement === box ? added : 0;
  if (box.scrollTop < ROW) return;
  byId("rows").style.height = `${(list.total + added) * ROW}px`;
  box.scrollTop += added * ROW;
}

async function drawRows() {
  const { isRefused } = place();
  const box = byId("messages");
  box.hidden = isRefused || list.total === 0;
  byId("empty").hidden = isRefused || list.total > 0;
  if (box.hidden) return;
  list.active = Math.min(list.active, list.total - 1);
  byId("rows").style.height = `${list.total * ROW}px`;
  const first = Math.max(0, firstSeen() - 5);
  const last = Math.min(list.total - 1, firstSeen() + Math.ceil(box.clientHeight / ROW) + 5);
  const chosen = place().message;
  const rows = [];
  for (let index = first; index <= last; index += 1) {
    const message = list.rows.get(index);
    if (message) rows.push(messageRow(message, index, message.id === chosen));
  }
  byId("rows").replaceChildren(...rows);
  const active = byId("rows").querySelector(".active");
  if (active) box.setAttribute("aria-activedescendant", active.id);
  else box.removeAttribute("aria-activedescendant");
  await fetchMissing(first, last);
}

async function fetchMissing(first, last) {
  const missing = [Math.floor(first / WINDOW), Math.floor(last / WINDOW)].filter((number) => !list.fresh.has(number));
  if (!missing.length) return;
  await Promise.all(missing.map(fetchWindow));
  await drawRows();
}

function messageRow(message, index, isChosen) {
  const row = make("div", { className: "row", id: `message-${index}`, data: { testid: "message", id: message.id } },
    make("span", { className: "what", textContent: subject(message) }),
    make("span", { className: "when", textContent: when(message.received_at) }),
    make("span", { className: "who", textContent: sender(message) }),
    make("span", { className: "files", textContent: message.files ? `${message.files} attached` : "" }));
  row.setAttribute("role", "option");
  row.setAttribute("aria-selected", String(isChosen));
  row.setAttribute("aria-posinset", index + 1);
  row.setAttribute("aria-setsize", list.total);
  row.classList.toggle("active", index === list.active);
  row.style.top = `${index * ROW}px`;
  return row;
}

async function moveTo(index) {
  const box = byId("messages");
  list.active = Math.max(0, Math.min(list.total - 1, index));
  const top = list.active * ROW;
  if (top < box.scrollTop) box.scrollTop = top;
  if (top + ROW > box.scrollTop + box.clientHeight) box.scrollTop = top + ROW - box.clientHeight;
  await drawRows();
  await openActive();
}

async function openActive() {
  await fetchWindow(Math.floor(list.active / WINDOW));
  const message = list.rows.get(list.active);
  if (message && !narrow.matches) go({ mailbox: list.mailbox, message: message.id });
}

const onListKey = attempt(async (event) => {
  const inView = Math.max(1, Math.floor(byId("messages").clientHeight / ROW) - 1);
  const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: inView, PageUp: -inView, Home: -Infinity, End: Infinity };
  const message = list.rows.get(list.active);
  if (event.key in steps) {
    event.preventDefault();
    await moveTo(list.active + steps[event.key]);
  } else if (["Enter", " "].includes(event.key) && message) {
    event.preventDefault();
    go({ mailbox: list.mailbox, message: message.id });
    byId("subject").focus();
  } else if (event.key === "Delete" && message) {
    await deleteMessage(message.id);
  }
});

// --------------------------------------------------------------------------------------------------------- refused mail

async function showRefused() {
  const { refused } = await ask(`${PAGE}/refused`);
  const box = byId("refusals");
  box.hidden = refused.length === 0;
  byId("empty").hidden = refused.length > 0;
  box.replaceChildren(...refused.map((entry) => make("li", { data: { testid: "refusal" } },
    ...reasons(entry).map((reason) => make("p", { className: "why", textContent: reason })),
    make("p", { className: "who", textContent: `from ${entry.sender || "<>"} to ${addresses(entry) || "nobody"}` }),
    make("p", { className: "who", textContent: `${moment(entry.at)} · ${entry.peer}${entry.fault ? ` · scripted: ${entry.fault}` : ""}` }))));
}

const addresses = (entry) => entry.recipients.map((recipient) => recipient.address).join(", ");

function reasons(entry) {
  const own = entry.recipients.filter((recipient) => recipient.status !== 250)
    .map((recipient) => `${recipient.status} ${recipient.reason}`.trim());
  const whole = entry.reason ? [`${entry.status || "The client left:"} ${entry.reason}`] : [];
  return [...new Set(own.length ? own : whole)];
}

// ---------------------------------------------------------------------------------------------------------- one message

const opened = { message: null, tab: "" };

async function showMessage(id) {
  byId("nothing").hidden = Boolean(id);
  byId("message").hidden = !id;
  if (!id) {
    opened.message = null;
    return;
  }
  if (opened.message?.id === id) return;
  try {
    opened.message = await ask(`${PAGE}/messages/${id}`);
  } catch {
    go({ mailbox: place().mailbox }); // it is gone
    return;
  }
  if (place().message !== id) return; // another one was chosen meanwhile
  drawMessage(opened.message);
}

function drawMessage(message) {
  const { name, email } = { name: message.from_name, email: message.from_email };
  byId("subject").textContent = subject(message);
  byId("from").textContent = name ? `${name} <${email}>` : email || "(no sender)";
  byId("to").textContent = message.mailbox;
  byId("received").textContent = moment(message.received_at);
  byId("open").href = `/_sandbox/messages/${message.id}/html`;
  byId("found").replaceChildren(
    ...finding("code", message.code, message.codes.map((code) => ({ ...code, shown: code.value }))),
    ...finding("link", message.link, message.links.map((link) => ({ ...link, shown: link.url }))));
  const tabs = availableTabs(message);
  byId("tabs").replaceChildren(...tabs.map(tabButton));
  chooseTab(tabs.some(([key]) => key === opened.tab) ? opened.tab : tabs[0][0]);
}

// What find_code and find_link return, why, and what else could have been meant.
function finding(kind, value, candidates) {
  const others = candidates.filter((candidate) => candidate.shown !== value);
  const best = candidates.find((candidate) => candidate.shown === value);
  if (!best && !others.length) return [];
  const card = make("section", { className: `finding ${kind}`, data: { testid: `found-${kind}` } },
    make("h3", { textContent: kind }));
  if (best) {
    const shown = make("output", { textContent: value, data: { testid: kind } });
    card.append(make("div", { className: "value" }, shown, copyButton(value, `the ${kind}`)),
      make("p", { className: "reason", textContent: best.reason, data: { testid: `${kind}-reason` } }));
    if (best.mismatch) card.append(warning());
  } else {
    card.append(make("p", { className: "reason", textContent: `No ${kind} stands clear of the others.` }));
  }
  if (others.length) card.append(furtherCandidates(others));
  return [card];
}

const warning = () => make("p", { className: "warning", textContent: "It shows one address and leads to another." });

function furtherCandidates(candidates) {
  const items = candidates.map((candidate) => make("li", {},
    make("code", { textContent: candidate.shown }), ` – ${candidate.reason}`));
  return make("details", {}, make("summary", { textContent: `${candidates.length} more` }), make("ul", {}, ...items));
}

function availableTabs(message) {
  const files = message.attachments.length;
  return [
    ...(message.is_html ? [["html", "HTML", htmlPanel]] : []),
    ["text", "Text", textPanel],
    ["source", "Source", sourcePanel],
    ["headers", "Headers", headersPanel],
    ["attachments", `Attachments (${files})`, attachmentsPanel],
  ];
}

function tabButton([key, label]) {
  const tab = make("button", { type: "button", id: `tab-${key}`, textContent: label, data: { key, testid: `tab-${key}` } });
  tab.setAttribute("role", "tab");
  tab.setAttribute("aria-controls", "panel");
  return tab;
}

const chooseTab = attempt(async (key) => {
  const { message } = opened;
  const draw = availableTabs(message).find(([other]) => other === key)[2];
  opened.tab = key;
  for (const tab of byId("tabs").children) {
    tab.setAttribute("aria-selected", String(tab.dataset.key === key));
    tab.tabIndex = tab.dataset.key === key ? 0 : -1;
  }
  const panel = byId("panel");
  panel.setAttribute("aria-labelledby", `tab-${key}`);
  panel.classList.toggle("framed", key === "html");
  const content = await draw(message);
  if (opened.message === message && opened.tab === key) panel.replaceChildren(content);
});

function htmlPanel(message) {
  return make("iframe", { src: `/_sandbox/messages/${message.id}/html`, title: "The mail", data: { testid: "mail-page" } });
}

const textPanel = (message) => make("pre", { textContent: message.text, data: { testid: "text" } });

async function sourcePanel(message) {
  const fragment = document.createDocumentFragment();
  if (!message.has_source) {
    fragment.append(make("p", { className: "hint", textContent: "It was delivered by its fields, not as a mail: this is its content." }),
      make("pre", { textContent: message.content, data: { testid: "source" } }));
    return fragment;
  }
  const path = `/_sandbox/messages/${message.id}/raw`;
  const [text, isWhole] = await beginningOf(path);
  fragment.append(make("p", { className: "hint" },
    isWhole ? "" : `The first ${bytes(SHOWN_SOURCE)} of ${bytes(message.size)}. `,
    make("a", { href: path, download: "message.eml", textContent: "Download" })));
  fragment.append(make("pre", { textContent: text, data: { testid: "source" } }));
  return fragment;
}

async function beginningOf(path) {
  const reader = (await fetch(path)).body.getReader();
  const decoder = new TextDecoder();
  let [text, size] = ["", 0];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return [text, true];
    size += value.length;
    text += decoder.decode(value, { stream: true });
    if (size > SHOWN_SOURCE) {
      await reader.cancel();
      return [text.slice(0, SHOWN_SOURCE), false];
    }
  }
}

function headersPanel(message) {
  const rows = message.headers.map(([name, value]) => headerRow(name, value));
  if (message.envelope) {
    const { sender: from, tls, login, client, peer } = message.envelope;
    const facts = { "Envelope sender": from || "<>", "Envelope recipients": addresses(message.envelope), Client: `${client} ${peer}`.trim(), TLS: tls || "none", Login: login || "none" };
    rows.push(...Object.entries(facts).map(([name, value]) => headerRow(name, value)));
  }
  if (!rows.length) return make("p", { className: "hint", textContent: "It was delivered by its fields: it has no headers." });
  return make("table", { data: { testid: "headers" } }, make("tbody", {}, ...rows));
}

const headerRow = (name, value) =>
  make("tr", {}, Object.assign(make("th", { textContent: name }), { scope: "row" }), make("td", { textContent: value }));

function attachmentsPanel(message) {
  if (!message.attachments.length) return make("p", { className: "hint", textContent: "No file came with it." });
  const rows = message.attachments.map((file) => {
    const link = make("a", { textContent: file.name, download: file.name, data: { testid: "attachment" } });
    link.href = `${PAGE}/messages/${message.id}/files/${encodeURIComponent(file.name)}`;
    return make("tr", {}, make("td", {}, link), make("td", { textContent: file.content_type }), make("td", { textContent: bytes(file.size) }));
  });
  const titles = ["Name", "Type", "Size"].map((title) => Object.assign(make("th", { textContent: title }), { scope: "col" }));
  return make("table", {}, make("thead", {}, make("tr", {}, ...titles)), make("tbody", {}, ...rows));
}

function onTabKey(event) {
  const tabs = [...byId("tabs").children];
  const now = tabs.findIndex((tab) => tab.dataset.key === opened.tab);
  const next = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: tabs.length - 1 }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  const tab = tabs[(next + tabs.length) % tabs.length];
  tab.focus();
  chooseTab(tab.dataset.key);
}

async function deleteMessage(id) {
  await ask(`${PAGE}/messages/${id}`, "DELETE");
  say("Deleted");
  if (place().message === id) go({ mailbox: place().mailbox });
  await refresh();
  if (!byId("messages").hidden) byId("messages").focus();
}

// ------------------------------------------------------------------------------------------------------------- settings

const settings = await ask(`${PAGE}/settings`);

function showSettings() {
  byId("smtp-settings").textContent =
    `SMTP_HOST=${settings.smtp_host}\nSMTP_PORT=${settings.smtp_port}\nSMTP_TLS_PORT=${settings.smtp_tls_port}`;
  byId("export-lines").textContent =
    `export TEMPMAILG_BASE_URL=${quoted(settings.base_url)}\nexport TEMPMAILG_API_KEY=${quoted(settings.api_key)}`;
}

function sendCommand(to) {
  const host = settings.smtp_host.includes(":") ? `[${settings.smtp_host}]` : settings.smtp_host;
  return `printf 'Subject: Hello\\n\\nYour code is 481516.\\n' |\n  curl smtp://${host}:${settings.smtp_port} --mail-from app@example.org --mail-rcpt ${quoted(to)} -T -`;
}

function showEmpty({ mailbox, isRefused }) {
  const isGone = mailbox && mailboxes.more === 0 && !mailboxes.known.some((box) => box.email === mailbox);
  const target = isGone ? undefined : mailbox ?? mailboxes.known[0]?.email;
  byId("empty-text").textContent = emptyText({ isRefused, isGone, target });
  byId("sample").hidden = byId("empty-send").hidden = isRefused || !target;
  byId("send-command").textContent = target ? sendCommand(target) : "";
}

function emptyText({ isRefused, isGone, target }) {
  if (isRefused) return "No mail was refused.";
  if (isGone) return "This mailbox is gone: it has expired, or was deleted.";
  return target ? "No mail yet: it shows here as it arrives." : "No mailbox yet: make one, and send to it.";
}

const SAMPLE = {
  subject: "Confirm your address",
  sender: "Example Shop <shop@example.org>",
  html: "<h1>Welcome!</h1><p>Your verification code is <b>481516</b>.</p>"
    + '<p>Or <a href="https://shop.example/confirm?token=81f0c2d4ab77">confirm your address</a>.</p>',
  attachments: [{ name: "terms.txt", text: "Be kind.\n", content_type: "text/plain" }],
};

const deliverSample = attempt(async () => {
  const mailbox = place().mailbox ?? mailboxes.known[0].email;
  await ask("/_sandbox/messages", "POST", { mailbox, ...SAMPLE });
});

// -------------------------------------------------------------------------------------------------------- all together

const show = attempt(async () => {
  const here = place();
  byId("list-heading").textContent = here.isRefused ? "Refused mail" : here.mailbox ?? "All mail";
  byId("copy-address").hidden = !here.mailbox;
  byId("refusals").hidden = !here.isRefused;
  markPlace();
  showEmpty(here);
  if (here.isRefused) {
    byId("messages").hidden = true;
    await showRefused();
  } else {
    await loadList(here.mailbox);
    const index = [...list.rows].find(([, message]) => message.id === here.message)?.[0];
    if (index !== undefined && index !== list.active) {
      list.active = index;
      await drawRows();
    }
  }
  await showMessage(here.message);
});

const refresh = attempt(async () => {
  await loadMailboxes();
  await show();
});

function onPlaceChanged() {
  showPane(place().message ? "message" : location.hash ? "list" : document.body.dataset.pane === "message" ? "list" : document.body.dataset.pane);
  show();
}

const pause = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

let isStale = false;
let isRefreshing = false;

// A thousand mails in a second are one look at the list four times a second. What happens while a look is under way may
// have come too late for it, and is looked at again.
async function refreshSoon() {
  isStale = true;
  if (isRefreshing) return;
  isRefreshing = true;
  while (isStale) {
    await pause(250);
    isStale = false;
    await refresh();
  }
  isRefreshing = false;
}

const CHANGES = ["mailbox_created", "mailbox_deleted", "mailbox_expired", "message_delivered", "message_deleted", "mail_refused", "reset", "missed", "ready"];
function follow() {
  events?.close();
  events = null;
  if (document.hidden) return; // browsers allow six connections to a server: a page that nobody sees needs none
  events = new EventSource("/_sandbox/events");
  events.addEventListener("open", showConnection);
  events.addEventListener("error", showConnection);
  for (const kind of CHANGES) events.addEventListener(kind, refreshSoon);
  events.addEventListener("message_delivered", (event) => say(`New mail for ${JSON.parse(event.data).mailbox}`));
  events.addEventListener("mail_refused", (event) => say(`Mail refused: ${JSON.parse(event.data).reason}`));
}

function connect() {
  const box = byId("messages");
  addEventListener("hashchange", onPlaceChanged);
  document.addEventListener("visibilitychange", follow);
  box.addEventListener("scroll", () => requestAnimationFrame(attempt(drawRows)), { passive: true });
  box.addEventListener("keydown", onListKey);
  box.addEventListener("click", (event) => {
    const row = event.target.closest(".row");
    if (row) go({ mailbox: list.mailbox, message: row.dataset.id });
  });
  byId("tabs").addEventListener("click", (event) => {
    const tab = event.target.closest("button");
    if (tab) chooseTab(tab.dataset.key);
  });
  byId("tabs").addEventListener("keydown", onTabKey);
  byId("new-mailbox").addEventListener("click", attempt(async () => {
    const { email } = await ask(`${PAGE}/mailboxes`, "POST");
    go({ mailbox: email });
    say(`New mailbox ${email}`);
  }));
  byId("copy-address").addEventListener("click", (event) => copy(place().mailbox, event.currentTarget));
  byId("delete").addEventListener("click", attempt(() => deleteMessage(opened.message.id)));
  byId("sample").addEventListener("click", deliverSample);
  byId("open-settings").addEventListener("click", () => byId("settings").showModal());
  byId("view-all").addEventListener("click", () => { if (!location.hash) showPane("list"); });
  for (const button of document.querySelectorAll("[data-copies]")) {
    button.addEventListener("click", () => copy(byId(button.dataset.copies).textContent, button));
  }
  for (const button of document.querySelectorAll("[data-back]")) {
    button.addEventListener("click", () => { if (button.dataset.back === "list") go({ mailbox: place().mailbox }); showPane(button.dataset.back); });
  }
  addEventListener("resize", attempt(drawRows));
  setInterval(showLives, 1000);
  setInterval(() => { if (!document.hidden) attempt(loadMailboxes)(); }, 5000); // the clock may have been moved
}

connect();
showSettings();
if (location.hash) showPane(place().message ? "message" : "list");
await refresh();
follow();
