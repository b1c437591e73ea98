// Draws the Plotly figures that the server wrote as JSON; colours come from the sheet, a click goes to the rows.
(() => {
  const CONFIG = { displayModeBar: false, responsive: true, showTips: false }

  function probe() {
    const span = document.body.appendChild(document.createElement("span"))
    span.hidden = true
    const colours = {}
    // A custom property reads as light-dark(…), unresolved; the computed colour of an element does not.
    return {
      colour(token) {
        if (!(token in colours)) {
          span.style.color = token
          colours[token] = getComputedStyle(span).color
        }
        return colours[token]
      },
      done: () => span.remove(),
    }
  }

  function coloured(value, colour) {
    if (typeof value === "string") return value.startsWith("var(--") ? colour(value) : value
    if (Array.isArray(value)) return value.map((item) => coloured(item, colour))
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, coloured(item, colour)]))
    }
    return value
  }

  function draw() {
    if (!window.Plotly) return
    const { colour, done } = probe()
    for (const box of document.querySelectorAll(".chart[data-figure]")) {
      const source = document.getElementById(box.dataset.figure)
      if (!source) continue
      const figure = coloured(JSON.parse(source.textContent), colour)
      figure.layout.font = { ...figure.layout.font, family: getComputedStyle(document.body).fontFamily }
      if (matchMedia("(max-width: 48rem)").matches) {
        figure.layout.margin = { ...figure.layout.margin, l: 40, r: 4 }
        figure.layout.legend = { ...figure.layout.legend, y: -0.2, yanchor: "top" }
        figure.layout.height += 120
      }
      window.Plotly.react(box, figure.data, figure.layout, CONFIG).then(() => follow(box))
    }
    done()
  }

  function follow(box) {
    if (box.dataset.follows) return
    box.dataset.follows = "yes"
    box.on("plotly_click", ({ points }) => {
      const href = points[0]?.customdata
      if (typeof href === "string" && href.startsWith("/")) location.href = href
    })
  }

  document.addEventListener("DOMContentLoaded", draw)
  document.addEventListener("themechange", draw)
  document.addEventListener("htmx:afterSettle", draw)
})()
