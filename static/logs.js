// Follows a log: lines come as [pod, [[class, text], ...]] and are put in as text, never as markup.
(() => {
  "use strict";
  const box = document.getElementById("log");
  const state = document.getElementById("log-state");
  if (!box) return;
  const MOST = 5000;
  const many = box.dataset.many === "yes";
  let following = true;

  function add(pod, pieces) {
    const line = document.createElement("span");
    line.className = "line";
    if (many) {
      const name = document.createElement("span");
      name.className = "pod-name";
      name.textContent = `${pod} `;
      line.append(name);
    }
    for (const [style, text] of pieces) {
      const piece = document.createElement("span");
      if (style) piece.className = style.split(" ").map((one) => `ansi-${one}`).join(" ");
      piece.textContent = text;
      line.append(piece);
    }
    line.append("\n");
    box.append(line);
  }

  box.addEventListener("scroll", () => {
    following = box.scrollTop + box.clientHeight >= box.scrollHeight - 30;
  });

  const stream = new EventSource(box.dataset.stream);
  stream.addEventListener("open", () => { box.textContent = ""; state.textContent = "Following"; });
  stream.addEventListener("message", (event) => {
    for (const [pod, pieces] of JSON.parse(event.data)) add(pod, pieces);
    while (box.childElementCount > MOST) box.firstElementChild.remove();
    if (following) box.scrollTop = box.scrollHeight;
  });
  stream.addEventListener("end", () => { stream.close(); state.textContent = "This is all: the log has ended"; });
  stream.addEventListener("error", () => {
    state.textContent = stream.readyState === EventSource.CLOSED ? "The stream was refused" : "Interrupted: trying again";
  });
  window.addEventListener("pagehide", () => stream.close());
})();
