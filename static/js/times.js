// Times in UTC (as the server wrote them) or local; live pages ask for new rows while somebody looks.
(() => {
  const EVERY = 15_000
  const two = (n) => String(n).padStart(2, "0")
  const read = () => { try { return localStorage.getItem("zone") || "UTC" } catch { return "UTC" } }
  const write = (zone) => { try { localStorage.setItem("zone", zone) } catch { /* private window */ } }
  let zone = read()
  let paused = false

  function local(iso, pattern) {
    const at = new Date(iso)
    const clock = [two(at.getHours()), two(at.getMinutes())]
    if (/\d:\d\d:\d/.test(pattern)) clock.push(two(at.getSeconds()))
    const fraction = /\.\d+$/.test(pattern) ? "." + String(at.getMilliseconds()).padStart(3, "0") : ""
    const date = /[A-Z]/.test(pattern)
      ? at.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" }) + " "
      : ""
    return date + clock.join(":") + fraction
  }

  function offset() {
    const minutes = -new Date().getTimezoneOffset()
    if (!minutes) return "UTC"
    return `UTC${minutes < 0 ? "-" : "+"}${Math.abs(minutes) / 60}`
  }

  function show(root = document) {
    for (const node of root.querySelectorAll("time[datetime], [data-at]")) {
      node.dataset.utc ??= node.textContent
      const iso = node.getAttribute("datetime") || node.dataset.at
      node.textContent = zone === "UTC" ? node.dataset.utc : local(iso, node.dataset.utc)
    }
    for (const node of root.querySelectorAll(".zone")) node.textContent = zone === "UTC" ? "UTC" : offset()
  }

  // One listener for all: a swap brings new buttons.
  const acts = {
    zone() {
      zone = zone === "UTC" ? "local" : "UTC"
      write(zone)
      ready()
    },
    pause() {
      paused = !paused
      ready()
    },
    copy(button) {
      const link = new URL(button.dataset.link, location.href).href
      navigator.clipboard?.writeText(link).then(() => { button.querySelector("span").textContent = "copied" })
    },
  }

  function ready() {
    show()
    for (const id of Object.keys(acts)) document.getElementById(id)?.removeAttribute("hidden")
    const pause = document.getElementById("pause")
    pause?.setAttribute("aria-pressed", String(paused))
    if (pause) pause.querySelector("span").textContent = paused ? "paused" : "live"
  }

  document.addEventListener("click", ({ target }) => {
    const button = target.closest("button[id]")
    if (button && acts[button.id]) acts[button.id](button)
  })
  document.addEventListener("DOMContentLoaded", () => {
    ready()
    // htmx's own timed triggers are evaluated as code, which the content security policy forbids.
    setInterval(() => {
      const live = document.querySelector("[hx-trigger^='refresh']")
      if (live && !paused && !document.hidden && !live.contains(document.activeElement)) document.body.dispatchEvent(new Event("refresh"))
    }, EVERY)
  })
  document.addEventListener("htmx:afterSettle", ready)
})()
