// Sets the theme before the first paint; the button in the bar goes automatic, light, dark.
(() => {
  const root = document.documentElement
  const names = ["auto", "light", "dark"]
  const read = () => { try { return localStorage.getItem("theme") || "auto" } catch { return "auto" } }
  const write = (name) => { try { localStorage.setItem("theme", name) } catch { /* private window: for this page only */ } }

  function set(name) {
    if (name === "auto") root.removeAttribute("data-theme")
    else root.dataset.theme = name
    const button = document.getElementById("theme")
    if (button) {
      const word = name === "auto" ? "automatic" : name
      button.setAttribute("aria-label", `Theme: ${word}`)
      button.title = `Theme: ${word}`
      button.hidden = false
    }
    document.dispatchEvent(new Event("themechange"))
  }

  let now = read()
  set(now)
  document.addEventListener("DOMContentLoaded", () => {
    set(now)
    document.getElementById("theme")?.addEventListener("click", () => {
      now = names[(names.indexOf(now) + 1) % names.length]
      write(now)
      set(now)
    })
  })
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => set(now))
})()
