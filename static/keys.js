// The keyboard: g and a letter goes somewhere, / searches, j and k move through a list, ? says all this, Ctrl+K finds
// anything by its name. Nothing here is the only way to do something.
(() => {
  "use strict";
  const palette = document.getElementById("palette");
  const help = document.getElementById("keys");
  if (!palette || !help || !palette.showModal) return;
  const field = palette.querySelector("input");
  const list = palette.querySelector("ul");
  const count = palette.querySelector("[role=status]");
  const places = new Map(Array.from(document.querySelectorAll("[data-go]"), (one) => [one.dataset.go, one.href]));
  let prefix = 0;
  let asked = 0;
  let chosen = -1;

  function isTyping(target) {
    return target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName);
  }

  function move(step) {
    const rows = Array.from(document.querySelectorAll("main [data-row]"));
    if (!rows.length) return;
    const next = Math.min(Math.max(rows.indexOf(document.activeElement) + step, 0), rows.length - 1);
    rows[next].focus();
  }

  function open(dialog) {
    if (!dialog.open) dialog.showModal();
  }

  function search() {
    const here = document.querySelector("main [data-search]");
    if (here) { here.focus(); here.select(); return; }
    open(palette);
    field.select();
  }

  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      open(palette);
      field.select();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || palette.open || help.open) return;
    if (prefix && Date.now() - prefix < 1500 && places.has(event.key)) {
      event.preventDefault();
      window.location.assign(places.get(event.key));
      return;
    }
    prefix = event.key === "g" ? Date.now() : 0;
    const act = { "/": search, "?": () => open(help), j: () => move(1), k: () => move(-1) }[event.key];
    if (act) { event.preventDefault(); act(); }
  });

  function choose(index) {
    const rows = Array.from(list.children);
    chosen = rows.length ? Math.min(Math.max(index, 0), rows.length - 1) : -1;
    rows.forEach((row, at) => row.setAttribute("aria-selected", String(at === chosen)));
    field.setAttribute("aria-activedescendant", chosen < 0 ? "" : rows[chosen].id);
    if (chosen >= 0) rows[chosen].scrollIntoView({ block: "nearest" });
  }

  function show(found) {
    list.replaceChildren(...found.map(([kind, name, address], at) => {
      const row = document.createElement("li");
      row.id = `found-${at}`;
      row.setAttribute("role", "option");
      row.dataset.address = address;
      const word = document.createElement("span");
      word.className = "tag";
      word.textContent = kind;
      row.append(word, ` ${name}`);
      row.addEventListener("click", () => window.location.assign(address));
      return row;
    }));
    count.textContent = found.length ? `${found.length} found` : "Nothing is called that";
    choose(0);
  }

  async function ask() {
    const turn = ++asked;
    try {
      const answer = await fetch(`${palette.dataset.search}?words=${encodeURIComponent(field.value)}`);
      if (answer.ok && turn === asked) show((await answer.json()).found);
    } catch {
      count.textContent = "Pierhead does not answer";
    }
  }

  field.addEventListener("input", () => { window.setTimeout(ask, 80); });
  field.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      choose(chosen + (event.key === "ArrowDown" ? 1 : -1));
    } else if (event.key === "Enter" && chosen >= 0) {
      event.preventDefault();
      window.location.assign(list.children[chosen].dataset.address);
    }
  });
  palette.addEventListener("toggle", () => { if (palette.open) ask(); });
  for (const button of document.querySelectorAll("[data-opens]")) {
    button.hidden = false;
    button.addEventListener("click", () => { open(document.getElementById(button.dataset.opens)); });
  }
})();
