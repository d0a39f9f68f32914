// The value of this expression is a list of what is wrong with the page that it is run in.
(() => {
  const faults = [];
  const named = (one) => `${one.tagName} ${one.getAttribute("class") ?? ""} ${one.textContent.trim().slice(0, 40)}`;
  for (const one of document.querySelectorAll("details")) one.open = true;

  // Nothing leaves the window; what is wide scrolls in a box of its own.
  const isPage = document.body !== null;
  if (isPage && document.documentElement.scrollWidth > innerWidth) faults.push("the page is wider than the window");
  const box = (one) => one.getBoundingClientRect();
  const scrolls = (one) => one && (getComputedStyle(one).overflowX !== "visible" || scrolls(one.parentElement));
  for (const one of document.body?.querySelectorAll("*") ?? []) {
    if (one.closest("svg") || scrolls(one.parentElement)) continue;
    if (getComputedStyle(one).position === "fixed" || !one.checkVisibility()) continue;
    if (box(one).right > innerWidth + 1 || box(one).left < -1) faults.push(`outside the window: ${named(one)}`);
    if (one.scrollWidth > one.clientWidth + 1 && one.clientWidth && !scrolls(one))
      faults.push(`outside its box: ${named(one)}`);
  }

  // Every picture is drawn.
  for (const one of document.images)
    if (one.checkVisibility() && !one.naturalWidth) faults.push(`nothing drawn: ${one.src}`);
  const drawings = [...document.querySelectorAll("svg")].filter(
    (one) => one.checkVisibility() && !one.parentElement?.closest("svg"));
  for (const one of drawings) {
    const size = one.getBBox();
    if (!size.width || !size.height || !box(one).width) faults.push(`nothing drawn: ${named(one)}`);
  }

  // Contrast by WCAG 2.1: 1 where two colours are as bright as one another, 21 at most.
  const brightness = (colour) => {
    const [r, g, b] = colour.match(/[\d.]+/g).slice(0, 3).map((part) => {
      const value = part / 255;
      return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [low, high] = [brightness(one), brightness(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const isSeen = (colour) => colour.startsWith("rgb(");
  const ground = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (isSeen(colour)) return colour;
    }
    return "rgb(255, 255, 255)";
  };

  for (const drawing of drawings) {
    const texts = [...drawing.querySelectorAll("text")];
    // The pictures of matplotlib bring a ground of their own.
    const first = drawing.querySelector("#patch_1 path");
    const behind = first ? getComputedStyle(first).fill : ground(drawing);
    texts.forEach((one, place) => {
      const [a, whole] = [box(one), box(drawing)];
      if (a.left < whole.left - 1 || a.right > whole.right + 1 || a.top < whole.top - 1 || a.bottom > whole.bottom + 1)
        faults.push(`outside its picture: ${named(one)}`);
      if (contrast(getComputedStyle(one).fill, behind) < 4.5)
        faults.push(`not to be told from its ground: ${named(one)}`);
      for (const other of texts.slice(place + 1)) {
        const b = box(other);
        // The box of a line of text has room above the letters and below.
        const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (across > 0 && down > 0.25 * Math.min(a.height, b.height))
          faults.push(`run into one another: ${named(one)}, ${named(other)}`);
      }
    });
    for (const one of drawing.querySelectorAll(".line, .cross, circle, rect, path[clip-path], use[style]")) {
      if (one.closest("defs, clipPath")) continue;
      const { fill, stroke } = getComputedStyle(one);
      const shown = [fill, stroke].filter(isSeen);
      const faint = one.getAttribute("style")?.includes("#e4e4e0");
      if (shown.length && !faint && shown.every((colour) => contrast(colour, behind) < 1.9))
        faults.push(`not to be told from its ground: ${named(one)}`);
    }
  }
  return [...new Set(faults)];
})();
