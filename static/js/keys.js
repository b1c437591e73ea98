// Keys: / to the search, f to the filter, j and k between rows, Enter opens, ? lists them. Everything works without.
(() => {
  const rows = () => [...document.querySelectorAll("main tbody tr")].filter((row) => row.querySelector("a[href]") && row.offsetParent)

  function move(step) {
    const all = rows()
    if (!all.length) return
    const at = all.findIndex((row) => row.contains(document.activeElement))
    const to = at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, at + step))
    all[to].querySelector("th a[href], a[href]").focus()
    all[to].scrollIntoView({ block: "nearest" })
  }

  function filter() {
    const box = document.querySelector(".filters")
    if (!box) return
    box.open = true
    box.querySelector("input:not([type=hidden])")?.focus()
  }

  const help = () => document.getElementById("keys")
  const acts = {
    "/": () => (document.getElementById("search")?.offsetParent ? document.getElementById("search").focus() : filter()),
    f: filter,
    j: () => move(1),
    k: () => move(-1),
    "?": () => (help()?.open ? help().close() : help()?.showModal()),
  }

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea")
    if (event.key === "Escape" && typing) typing.blur()
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !acts[event.key]) return
    event.preventDefault()
    acts[event.key]()
  })

  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-keys]")
    if (opener) {
      event.preventDefault()
      acts["?"]()
    }
  })

  // An empty field says nothing: leave it out of the address.
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "get") return
    for (const field of event.target.elements) if (field.name && !field.value) field.disabled = true
    setTimeout(() => { for (const field of event.target.elements) field.disabled = false })
  }, true)
})()
