// What the pages do beside htmx: a key for the search, and buttons that copy.
"use strict";

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    document.getElementById("search")?.focus();
  }
});

function showCopyButtons() {
  for (const button of document.querySelectorAll("button.copy[hidden]")) {
    button.hidden = !navigator.clipboard;
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button.copy");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  button.textContent = "copied";
  setTimeout(() => { button.textContent = "copy"; }, 1500);
});

document.addEventListener("htmx:responseError", (event) => {
  const part = event.detail.target ?? document.getElementById("main");
  part.querySelector(":scope > p.answer")?.remove();  // that of an earlier try
  const told = document.createElement("p");
  told.className = "error-text answer";
  told.setAttribute("role", "alert");
  told.textContent = `This part cannot be shown: the server answered ${event.detail.xhr.status}.`;
  part.prepend(told);
});

showCopyButtons();
document.addEventListener("htmx:afterSwap", showCopyButtons);
