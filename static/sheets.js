// For the page of a terminal alone. xterm.js puts its measures and colours into style elements and style attributes,
// which our Content-Security-Policy refuses, and rightly: markup that somebody smuggles in could do so too. What a
// script of ours says by the object model is not refused, so the same rules are said that way: a style element becomes
// a sheet of its own, and a style attribute the element's style.
(() => {
  "use strict";
  const create = document.createElement;
  const set = Element.prototype.setAttribute;

  function standIn() {
    const made = create.call(document, "meta");
    const sheet = new CSSStyleSheet();
    let text = "";
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    Object.defineProperty(made, "sheet", { value: sheet });
    Object.defineProperty(made, "textContent", {
      get: () => text,
      set: (given) => { text = given; sheet.replaceSync(given); },
    });
    made.remove = () => {
      document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => one !== sheet);
      Element.prototype.remove.call(made);
    };
    return made;
  }

  document.createElement = (name, options) => (
    String(name).toLowerCase() === "style" ? standIn() : create.call(document, name, options)
  );
  Element.prototype.setAttribute = function (name, value) {
    if (name === "style") this.style.cssText = value; else set.call(this, name, value);
  };
})();
