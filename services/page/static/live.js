// The live value: server-sent events in, text out. A value that no longer comes looks stale by itself.
"use strict";
(() => {
  const box = document.getElementById("live");
  const words = JSON.parse(box.dataset.words);
  const staleAfter = Number(box.dataset.staleAfter);
  const part = (name) => document.getElementById("live-" + name);
  let at = Number(box.dataset.at) || null;

  function age() {
    if (at === null || !part("age")) return;
    const s = Math.max(0, (Date.now() - at) / 1000);
    const [key, n] = s < 120 ? ["ago_s", s] : s < 7200 ? ["ago_min", s / 60] : ["ago_h", s / 3600];
    part("age").textContent = words[key].replace("{n}", String(Math.floor(n)));
    part("value").classList.toggle("stale", s > staleAfter);
    if (s > staleAfter) { part("contact").textContent = words.stale; part("contact").className = "badge plain"; }
  }

  function heart(record) {
    const end = Date.parse(record.end);
    if (at !== null && end < at) return;
    if (!part("bpm")) { location.reload(); return; }
    at = end;
    const good = record.value !== null && (record.quality === null || record.quality >= Number(box.dataset.good));
    part("bpm").textContent = record.value === null ? "–" : String(Math.round(record.value));
    part("uncertainty").textContent = record.uncertainty === null ? "" : "± " + Math.round(record.uncertainty);
    part("contact").textContent = good ? words.contact : words.no_contact;
    part("contact").className = "badge " + (good ? "good" : "poor");
    const chart = box.querySelector(".chart").wristwise;
    if (chart && record.value !== null) {
      chart.series = [...chart.series.filter(([s]) => s > end / 1000 - 600 && s < end / 1000), [end / 1000, record.value, record.uncertainty || 0]];
      if (chart.update) chart.update(chart.series);
    }
    age();
  }

  function fall() {
    part("alert").hidden = false;
    part("alert").textContent = words.fall;
  }

  const source = new EventSource("/v1/live");
  const take = (event) => {
    const record = JSON.parse(event.data);
    if (record.kind === "heart_rate") heart(record);
    if (record.kind === "fall" && ["detected", "alerted"].includes(record.value)) fall();
  };
  source.onmessage = take;
  for (const name of ["heart_rate", "fall", "record"]) source.addEventListener(name, take);
  setInterval(age, 1000);
  addEventListener("pagehide", () => source.close());
})();
