/* The portal's only own script; every page works without it.
   Copy buttons, menus that close, passages that open from a citation, and the live answer. */
"use strict";
(() => {
  const copy = async (button) => {
    const source = document.getElementById(button.dataset.copy);
    if (!source || !navigator.clipboard) return;
    await navigator.clipboard.writeText(source.textContent.trim());
    button.classList.add("copied");
    setTimeout(() => button.classList.remove("copied"), 1500);
  };

  /* A citation is a plain link to the source's <details>; this opens it on the way. */
  const openTarget = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target instanceof HTMLDetailsElement) {
      target.open = true;
      target.scrollIntoView({ block: "center" });
    }
  };

  const closeMenus = (except) => {
    document.querySelectorAll("details.menu[open]").forEach((menu) => {
      if (menu !== except) menu.open = false;
    });
  };

  /* Tokens arrive as text and are put in as text: nothing that the model writes is ever markup. A reconnect starts with
     a snapshot from the run's row, so a lost connection costs nothing. */
  const follow = (box) => {
    if (box.dataset.following) return;
    box.dataset.following = "yes";
    const text = box.querySelector("[data-answer]");
    const steps = box.querySelector("[data-steps]");
    const template = box.querySelector("template");
    const banner = box.querySelector("[data-offline]");
    const stream = new EventSource(box.dataset.stream);
    stream.addEventListener("open", () => { if (banner) banner.hidden = true; });
    stream.addEventListener("error", () => { if (banner) banner.hidden = false; });
    stream.addEventListener("snapshot", (event) => {
      const snapshot = JSON.parse(event.data);
      text.textContent = snapshot.text;
      if (steps && snapshot.steps) steps.replaceChildren(...snapshot.steps.map((step) => line(template, step)));
    });
    stream.addEventListener("token", (event) => text.append(JSON.parse(event.data).text));
    const reach = (step) => box.querySelectorAll("[data-phase]").forEach((phase) => {
      if (phase.dataset.phase.split(" ").includes(step.entry.purpose || step.entry.kind)) phase.classList.add("done");
    });
    stream.addEventListener("step", (event) => {
      const step = JSON.parse(event.data);
      reach(step);
      if (steps) steps.append(line(template, step));
    });
    stream.addEventListener("end", () => {
      stream.close();
      window.htmx.ajax("GET", box.dataset.result, { target: box, swap: "outerHTML" });
    });
    document.addEventListener("htmx:beforeCleanupElement", (event) => { if (event.target === box) stream.close(); });
  };

  const line = (template, step) => {
    const item = template.content.cloneNode(true);
    item.querySelector("[data-title]").textContent = step.title;
    item.querySelector("[data-detail]").textContent = step.detail || "";
    item.querySelector("[data-ms]").textContent = step.duration || "";
    return item;
  };

  const enliven = (root) => {
    root.querySelectorAll("[data-stream]").forEach(follow);
    if (root.matches && root.matches("[data-stream]")) follow(root);
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(button);
    const sample = event.target.closest("[data-fill]");
    if (sample) {
      const field = document.getElementById(sample.dataset.fill);
      field.value = sample.textContent.trim();
      field.focus();
      event.preventDefault();
    }
    closeMenus(event.target.closest("details.menu"));
    const link = event.target.closest('a[href^="#"]');
    if (link && link.hash === location.hash) openTarget();
  });

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      const open = document.querySelector("details.menu[open]");
      if (open) { open.open = false; open.querySelector("summary").focus(); }
    }
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.form) event.target.form.requestSubmit();
  });

  addEventListener("hashchange", openTarget);
  document.addEventListener("htmx:load", (event) => enliven(event.detail.elt));
  document.addEventListener("DOMContentLoaded", () => { enliven(document); openTarget(); });
})();
