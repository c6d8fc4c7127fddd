// Deletion asks for the word, then calls the API; the session that deleted itself is over.
"use strict";
(() => {
  const form = document.getElementById("delete-form"), said = document.getElementById("delete-said");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const reply = await fetch("/v1/me", { method: "DELETE", headers: { Accept: "application/json" } });
    said.textContent = reply.ok ? said.dataset.done : said.dataset.failed;
    if (reply.ok) setTimeout(() => location.assign("/login"), 1500);
  });
})();
