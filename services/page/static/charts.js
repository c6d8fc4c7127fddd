// Charts over what the page already says in figures. Gaps stay gaps; times are on the wearer's clock.
"use strict";
(() => {
  const GAP_S = { day: 300, heart: 900 };
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const BAND = {
    still: "--still", sedentary: "--still", eat: "--still", walk: "--walk", walking: "--walk", stairs: "--walk", run: "--run",
    cycle: "--run", exercising: "--run", sport: "--sport", sleep: "--asleep", asleep: "--asleep", household: "--other",
    recovering: "--other", not_worn: "--off",
  };

  function withGaps(series, gap) {
    const x = [], y = [], low = [], high = [];
    let last = null;
    for (const [at, value, spread] of series) {
      if (last !== null && at - last > gap) { x.push(last + 1); y.push(null); low.push(null); high.push(null); }
      x.push(at); y.push(value); low.push(value - spread); high.push(value + spread);
      last = at;
    }
    return [x, y, low, high];
  }

  function clock(seconds, offset) {
    const d = new Date((seconds + offset) * 1000);
    return String(d.getUTCHours()).padStart(2, "0") + ":" + String(d.getUTCMinutes()).padStart(2, "0");
  }

  function bands(items) {
    return (u) => {
      const { ctx, bbox } = u;
      ctx.save();
      ctx.beginPath(); ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height); ctx.clip();
      for (const band of items) {
        const a = u.valToPos(band.from, "x", true), b = u.valToPos(band.to, "x", true);
        ctx.fillStyle = css(BAND[band.label] || "--other");
        const tall = band.kind === "activity" || band.kind === "context" ? 0.12 : 0.06;
        ctx.fillRect(a, bbox.top + bbox.height * (1 - tall), Math.max(b - a, 1), bbox.height * tall);
      }
      ctx.restore();
    };
  }

  // Steps stand behind the heart rate, as bars of steps a minute on a scale of their own: 200 fill half the height.
  function bars(items) {
    return (u) => {
      const { ctx, bbox } = u;
      ctx.save();
      ctx.beginPath(); ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height); ctx.clip();
      ctx.fillStyle = css("--steps");
      const foot = bbox.top + bbox.height * 0.88;
      for (const [from, to, rate] of items) {
        const a = u.valToPos(from, "x", true), b = u.valToPos(to, "x", true), tall = Math.min(rate / 200, 1) * bbox.height * 0.5;
        ctx.fillRect(a, foot - tall, Math.max(b - a - 1, 1), tall);
      }
      ctx.restore();
    };
  }

  function marks(items) {
    return (u) => {
      const { ctx, bbox } = u;
      ctx.save();
      ctx.strokeStyle = ctx.fillStyle = css("--poor");
      ctx.font = `${12 * devicePixelRatio}px system-ui`;
      for (const item of items) {
        const x = u.valToPos(item.s, "x", true);
        if (x < bbox.left || x > bbox.left + bbox.width) continue;
        ctx.beginPath(); ctx.moveTo(x, bbox.top); ctx.lineTo(x, bbox.top + bbox.height); ctx.stroke();
        ctx.fillText(item.name, x + 4, bbox.top + 14 * devicePixelRatio);
      }
      ctx.restore();
    };
  }

  function draw(box) {
    const data = JSON.parse(box.querySelector("script[type='application/json']").textContent);
    const offset = Number(box.dataset.offset || 0), kind = box.dataset.chart;
    box.wristwise = { series: data.series };
    if (!data.series.length) return;
    const ink = css("--soft"), line = css("--line"), heart = css("--heart");
    const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line } };
    const span = box.dataset.from ? [Number(box.dataset.from), Number(box.dataset.to)] : null;
    let lowest, highest;
    const bounds = (series) => {
      const known = series.map(([, v]) => v), spread = series.map(([, , u]) => u).sort((a, b) => a - b)[series.length >> 1];
      lowest = Math.min(...known) - spread; highest = Math.max(...known) + spread;
    };
    bounds(data.series);
    const options = {
      width: box.clientWidth, height: Number(box.dataset.height), legend: { show: kind === "day" },
      ...(box.dataset.axis ? { padding: [8, 0, 0, 0] } : {}),
      cursor: { drag: { x: true, y: false } },
      // The scale follows the values: one wide uncertainty must not press the curve flat. Below a day there is room for its bands.
      scales: {
        x: { time: true, ...(span && kind !== "day" ? { range: () => span } : {}) },
        y: { range: () => [lowest - (highest - lowest + 10) * (kind === "day" ? 0.24 : 0.15), highest + (highest - lowest + 10) * 0.1] },
      },
      axes: [
        { ...axis, values: (u, ticks) => ticks.map((s) => clock(s, offset)) },
        { ...axis, size: Number(box.dataset.axis || 44) },
      ],
      series: [
        { value: (u, s) => (s === null ? "–" : clock(s, offset)), label: box.dataset.time || "" },
        { label: box.dataset.label, stroke: heart, width: 1.6, spanGaps: false, points: { show: data.series.length < 3 } },
        ...["−", "+"].map((label) => ({ label, stroke: "transparent", points: { show: false } })),
      ],
      bands: [{ series: [3, 2], fill: heart + "2e" }],
      hooks: { drawClear: [bars(data.steps || []), bands(data.bands || [])], draw: [marks(data.events || [])] },
    };
    box.wristwise.plot = new uPlot(options, withGaps(data.series, GAP_S[kind]), box);
    box.wristwise.update = (series) => { bounds(series); box.wristwise.plot.setData(withGaps(series, GAP_S[kind])); };
    new ResizeObserver(() => box.wristwise.plot.setSize({ width: box.clientWidth, height: Number(box.dataset.height) })).observe(box);
  }

  document.querySelectorAll(".chart").forEach(draw);
})();
