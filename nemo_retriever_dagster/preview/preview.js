"use strict";
// A chunk or element that is pointed at or focused is lit wherever it is shown.
(() => {
  const all = (selector) => document.querySelectorAll(selector);
  const light = (selector) => all(selector).forEach((one) => one.classList.add("lit"));
  const dark = () => all(".lit").forEach((one) => one.classList.remove("lit"));
  const own = (event) => (event.target instanceof Element ? event.target.closest("[data-c], [data-e]") : null);
  const show = (event) => {
    const one = own(event);
    dark();
    if (!one) return;
    const { c, e } = one.dataset;
    if (c !== undefined) {
      light(`[data-c="${c}"]`);
      const card = document.querySelector(`[data-c="${c}"][data-es]`);
      for (const i of card ? card.dataset.es.split(" ") : []) light(`[data-e="${i}"]`);
    } else {
      light(`[data-e="${e}"]`);
      all(`[data-es~="${e}"]`).forEach((card) => light(`[data-c="${card.dataset.c}"]:not(.outline)`));
    }
  };
  const go = (event) => {
    const one = own(event);
    if (!one || !one.closest("svg")) return;
    const { c, e } = one.dataset;
    const card = document.querySelector(c !== undefined ? `article[data-c="${c}"]` : `article[data-e="${e}"]`);
    if (!card) return;
    card.scrollIntoView({ block: "center", behavior: "smooth" });
    card.focus({ preventScroll: true });
  };
  document.addEventListener("pointerover", show);
  document.addEventListener("focusin", show);
  document.addEventListener("click", go);
  document.addEventListener("keydown", (event) => event.key === "Escape" && dark());
})();
