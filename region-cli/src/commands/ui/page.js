// The page of `region ui`. Whatever it shows is set as text, never as markup: names and keys may hold any characters.
'use strict';

/** The most changes that are kept. */
const MOST_LINES = 500;
/** The shortest time between two loads of the tree that nobody asked for, in milliseconds. */
const TREE_PAUSE = 2000;
/** A load of the tree that nobody asked for waits for so many times as long as the last one took. */
const TREE_SHARE = 20;
/** The time after which the tree and the numbers are loaded again though nothing is known to have changed. */
const TREE_AGE = 30000;
const NUMBERS_AGE = 10000;
/** The time between two looks at what there is to do. */
const TICK = 250;
/** The time until the next attempt to listen, when the stream was refused. */
const LISTEN_PAUSE = 2000;
const NO_ANSWER = '`region ui` does not answer. Start it again, and open the URL that it prints.';

const at = id => document.getElementById(id);

/** An element with these properties and children; a text is a child too. */
function make(name, properties = {}, ...children) {
  const { attributes = {}, ...rest } = properties;
  const made = Object.assign(document.createElement(name), rest);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

/** Shows a text, or hides its place if there is none. */
function tell(place, text) {
  if (place.textContent !== (text ?? '')) place.textContent = text ?? '';
  place.hidden = !text;
}

/** Asks `region ui`; an error has a text to show. */
async function ask(what, parameters = {}) {
  let response;
  try {
    response = await fetch(`${what}?${new URLSearchParams(parameters)}`);
  } catch {
    throw new Error(NO_ANSWER);
  }
  const answer = await response.json().catch(() => null);
  if (response.ok && answer) return answer;
  throw new Error(answer?.error ?? NO_ANSWER);
}

// The tree.

const tree = {
  begin: '.',
  rows: [],
  /** The regions that were opened beyond the depth that is listed at once. */
  opened: new Set(),
  /** The regions that were closed. */
  closed: new Set(),
  current: null,
  isStale: true,
  isLoading: false,
  mayLoadAt: 0,
  loadedAt: 0,
  shown: '',
};

/** The regions from `path` on, with those inside regions that were opened. */
async function list(path, opened = {}) {
  const answer = await ask('tree', { path, ...opened });
  const rows = [];
  for (const row of answer.rows) {
    rows.push(row);
    if (row.has_more && tree.opened.has(row.region) && !tree.closed.has(row.region)) {
      rows.push(...await inside(row));
    }
  }
  if (answer.cut_at) rows.push({ depth: 1, cut: answer.cut_at });
  if (answer.no_bytes) rows.noBytes = answer.no_bytes;
  return rows;
}

/** The regions inside a region that the depth has left out. */
async function inside(row) {
  const rows = await list(row.region, { opened: 1 });
  row.has_more = false;
  return rows.slice(1).map(below => ({ ...below, depth: below.depth + row.depth }));
}

/** Loads one thing after the other: `work` gets the rows that are to be shown. */
async function load(work) {
  if (tree.isLoading) {
    tree.isStale = true;
    return;
  }
  tree.isLoading = true;
  tree.isStale = false;
  const began = performance.now();
  let share = TREE_SHARE;
  at('tree-table').setAttribute('aria-busy', 'true');
  try {
    await work();
    tell(at('tree-problem'), null);
    tell(at('tree-note'), tree.rows.noBytes ? `no sizes: ${tree.rows.noBytes}` : null);
    drawTree();
  } catch (error) {
    tell(at('tree-problem'), error.message);
    tree.hasFailed = true;
    // It has cost the server nothing, and is to be shown again soon.
    share = 0;
  } finally {
    const now = performance.now();
    tree.isLoading = false;
    tree.loadedAt = now;
    tree.mayLoadAt = now + Math.min(Math.max(TREE_PAUSE, share * (now - began)), TREE_AGE);
    at('tree-table').removeAttribute('aria-busy');
  }
}

function loadTree() {
  return load(async () => {
    const begin = tree.begin;
    const rows = await list(begin);
    if (begin !== tree.begin) {
      tree.isStale = true;
      tree.mayLoadAt = 0;
      return;
    }
    tree.rows = rows;
    tree.hasFailed = false;
    const known = new Set(rows.map(row => row.region));
    for (const set of [tree.opened, tree.closed]) {
      for (const region of set) if (!known.has(region)) set.delete(region);
    }
  });
}

const hasInside = (row, index) => row.has_more || tree.rows[index + 1]?.depth > row.depth;
const isOpen = (row, index) => hasInside(row, index) && !row.has_more && !tree.closed.has(row.region);

/** The rows that no closed region hides, with their places. */
function visibleRows() {
  const visible = [];
  let hiddenBelow = Infinity;
  tree.rows.forEach((row, index) => {
    if (row.depth > hiddenBelow) return;
    hiddenBelow = hasInside(row, index) && !isOpen(row, index) ? row.depth : Infinity;
    visible.push([row, index]);
  });
  return visible;
}

function drawTree() {
  const visible = visibleRows();
  if (!visible.some(([row]) => row.region === tree.current)) tree.current = visible[0]?.[0].region ?? null;
  const shown = JSON.stringify([tree.current, visible.map(([row, index]) => [row, hasInside(row, index), isOpen(row, index)])]);
  if (shown === tree.shown) return;
  tree.shown = shown;
  const hadFocus = at('tree-rows').contains(document.activeElement);
  at('tree-rows').replaceChildren(...visible.map(([row, index]) => treeRow(row, index)));
  if (hadFocus) rowOf(tree.current)?.focus();
}

function treeRow(row, index) {
  if (row.cut) {
    const text = `There are more: --limit ${row.cut} is reached. Begin at a region further inside.`;
    const cell = make('td', { colSpan: 3, className: 'note', attributes: { role: 'gridcell' } }, text);
    return make('tr', { attributes: { role: 'row', 'aria-level': row.depth + 1 } }, cell);
  }
  const isCurrent = row.region === tree.current;
  const attributes = { role: 'row', 'aria-level': row.depth + 1, 'aria-selected': isCurrent };
  if (hasInside(row, index)) attributes['aria-expanded'] = isOpen(row, index);
  const twist = make('span', { className: 'twist', attributes: { 'aria-hidden': 'true' } });
  if (hasInside(row, index)) twist.textContent = isOpen(row, index) ? '▾' : '▸';
  const cells = [
    make('td', { attributes: { role: 'gridcell' } }, twist, make('span', { className: 'name' }, row.label)),
    make('td', { className: 'number', attributes: { role: 'gridcell' } }, row.entries.toLocaleString('en')),
    make('td', { className: 'number', attributes: { role: 'gridcell' } }, row.bytes ?? '?'),
  ];
  const made = make('tr', { tabIndex: isCurrent ? 0 : -1, title: row.region, attributes }, ...cells);
  made.dataset.region = row.region;
  made.style.setProperty('--level', row.depth);
  return made;
}

const rowOf = region => [...at('tree-rows').children].find(row => row.dataset.region === region);

function select(region) {
  tree.current = region;
  drawTree();
  rowOf(region)?.focus();
}

function open(region) {
  const index = tree.rows.findIndex(row => row.region === region);
  const row = tree.rows[index];
  if (!row || !hasInside(row, index)) return;
  tree.closed.delete(region);
  if (!row.has_more) return drawTree();
  tree.opened.add(region);
  if (tree.isLoading) {
    tree.isStale = true;
    tree.mayLoadAt = 0;
    return;
  }
  load(async () => {
    const below = await inside(row);
    tree.rows.splice(tree.rows.indexOf(row) + 1, 0, ...below);
  });
}

function close(region) {
  tree.closed.add(region);
  drawTree();
}

function onTreeKey(event) {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const visible = visibleRows().filter(([row]) => row.region !== undefined);
  const place = visible.findIndex(([row]) => row.region === tree.current);
  if (place < 0) return;
  const [row, index] = visible[place];
  const go = to => to && select(to[0].region);
  const outer = () => visible.slice(0, place).findLast(([before]) => before.depth < row.depth);
  const actions = {
    ArrowDown: () => go(visible[place + 1]),
    ArrowUp: () => go(visible[place - 1]),
    Home: () => go(visible[0]),
    End: () => go(visible.at(-1)),
    ArrowRight: () => isOpen(row, index) ? go(visible[place + 1]) : open(row.region),
    ArrowLeft: () => isOpen(row, index) ? close(row.region) : go(outer()),
    Enter: () => {
      at('explain-path').value = row.region;
      at('explain-key').focus();
    },
  };
  if (!Object.hasOwn(actions, event.key)) return;
  event.preventDefault();
  actions[event.key]();
}

function onTreeClick(event) {
  const region = event.target.closest('tr')?.dataset.region;
  if (region === undefined) return;
  const index = tree.rows.findIndex(row => row.region === region);
  if (event.target.closest('.twist')) {
    if (isOpen(tree.rows[index], index)) close(region);
    else open(region);
  }
  at('explain-path').value = region;
  select(region);
}

// Why a key would miss.

let questions = 0;

async function explain(event) {
  event.preventDefault();
  const question = ++questions;
  let answer;
  try {
    const found = await ask('explain', { path: at('explain-path').value.trim(), key: at('explain-key').value });
    const title = make('h3', { className: found.outcome }, `A ${found.outcome}: ${found.reason}`);
    answer = [title, make('pre', {}, found.text.trimEnd())];
  } catch (error) {
    answer = [make('p', { attributes: { role: 'alert' } }, error.message)];
  }
  // An answer that a later question has overtaken is of no interest.
  if (question === questions) at('explain-answer').replaceChildren(...answer);
}

// What is going on.

function drawTable(table, { columns, rows }) {
  const last = columns.length - 1;
  const cell = (kind, text, index) => {
    const attributes = kind === 'th' ? { scope: 'col' } : { 'data-column': columns[index] };
    return make(kind, { className: index === last && kind === 'td' ? 'name' : '', attributes }, text);
  };
  const head = make('thead', {}, make('tr', {}, ...columns.map((text, index) => cell('th', text, index))));
  const body = make('tbody', {}, ...rows.map(row => make('tr', {}, ...row.map((text, index) => cell('td', text, index)))));
  table.replaceChildren(table.caption, head, body);
}

function problemOf(now) {
  if (now.trouble) return now.trouble;
  if (now.down.length > 0) return `No answer: ${now.down.join(', ')}`;
  // Before the first connection there was none to lose.
  return !now.is_watching && hasWatched ? 'The connection that tells of changes is lost.' : null;
}

function showState(state, text, problem) {
  at('state').dataset.state = state;
  tell(at('state'), text);
  tell(at('problem'), problem);
}

let hadProblem = false;
let hasWatched = false;

function onNow(now) {
  document.title = `region ui: ${now.root}`;
  at('root').textContent = now.root;
  drawTable(at('servers-table'), now.servers);
  drawTable(at('regions-table'), now.regions);
  const problem = problemOf(now);
  hasWatched ||= now.is_watching;
  if (problem) showState('down', 'no connection', problem);
  else if (now.is_watching) showState('live', 'live', null);
  else showState('wait', 'connecting', null);
  if (!problem && (hadProblem || tree.hasFailed)) {
    tree.isStale = true;
    numbers.loadedAt = -Infinity;
  }
  hadProblem = problem !== null;
}

const numbers = { isLoading: false, loadedAt: -Infinity };

async function loadNumbers() {
  numbers.isLoading = true;
  try {
    const answer = await ask('stats');
    at('numbers').replaceChildren(...answer.numbers.flatMap(({ of, rows }) => [
      make('h3', { className: 'name' }, of),
      make('dl', {}, ...rows.flatMap(([name, value]) => [make('dt', {}, name), make('dd', {}, value)])),
    ]));
    tell(at('numbers-problem'), null);
  } catch (error) {
    tell(at('numbers-problem'), error.message);
  }
  numbers.isLoading = false;
  numbers.loadedAt = performance.now();
}

// Changes.

/** Those that are not drawn yet, the oldest first. */
let waiting = [];
let isPaused = false;

function keep(made) {
  waiting.push(made);
  if (waiting.length > MOST_LINES) waiting.splice(0, waiting.length - MOST_LINES);
}

function onLine({ at: time, change, region }) {
  keep(() => make('li', { className: change },
    make('time', { dateTime: time, title: time }, new Date(time).toLocaleTimeString('en-GB')),
    make('span', { className: 'kind' }, change),
    make('span', { className: 'name' }, region ?? '')));
  tree.isStale = true;
}

function onLeftOut({ count }) {
  const text = count === 1 ? '1 change came too fast to be shown' : `${count} changes came too fast to be shown`;
  keep(() => make('li', { className: 'left-out' }, text));
  tree.isStale = true;
}

function drawLines() {
  at('waiting').textContent = isPaused && waiting.length > 0 ? `${waiting.length} waiting` : '';
  if (isPaused || waiting.length === 0) return;
  const lines = at('lines');
  lines.prepend(...waiting.map(made => made()).reverse());
  waiting = [];
  while (lines.children.length > MOST_LINES) lines.lastElementChild.remove();
}

// Beginning.

function listen() {
  const source = new EventSource('events');
  const on = (name, then) => source.addEventListener(name, event => then(JSON.parse(event.data)));
  on('now', onNow);
  on('line', onLine);
  on('left_out', onLeftOut);
  source.onerror = () => {
    hadProblem = true;
    showState('down', 'no connection', NO_ANSWER);
    // It tries again by itself, but for a stream that was refused.
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, LISTEN_PAUSE);
  };
}

function tick() {
  drawLines();
  if (document.hidden) return;
  const now = performance.now();
  const isOld = now - tree.loadedAt > TREE_AGE;
  if ((tree.isStale || isOld) && !tree.isLoading && now >= tree.mayLoadAt) loadTree();
  if (now - numbers.loadedAt > NUMBERS_AGE && !numbers.isLoading) loadNumbers();
}

at('tree-form').addEventListener('submit', event => {
  event.preventDefault();
  tree.begin = at('tree-path').value.trim() || '.';
  tree.isStale = true;
  tree.mayLoadAt = 0;
  tick();
});
at('tree-rows').addEventListener('keydown', onTreeKey);
at('tree-rows').addEventListener('click', onTreeClick);
at('explain-form').addEventListener('submit', explain);
at('pause').addEventListener('click', () => {
  isPaused = !isPaused;
  at('pause').setAttribute('aria-pressed', isPaused);
  at('pause').textContent = isPaused ? 'Go on' : 'Pause';
  drawLines();
});
at('clear').addEventListener('click', () => {
  waiting = [];
  at('lines').replaceChildren();
});
listen();
tick();
setInterval(tick, TICK);
