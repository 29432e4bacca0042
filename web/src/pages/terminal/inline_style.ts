// The terminal writes its colours into <style> elements and style attributes, which our Content-Security-Policy
// forbids. Its elements are made here instead: what would be a <style> feeds a style sheet made by script, and a
// style attribute goes through the element's style object; both are allowed.

type Make = typeof document.createElement;

function sheetElement(make: Make): HTMLElement {
  const element = make("ploinky-style");
  const sheet = new CSSStyleSheet();
  let text = "";
  element.hidden = true;
  Object.defineProperty(element, "textContent", {
    get: () => text,
    set: (value: string) => {
      text = value;
      sheet.replaceSync(value);
    },
  });
  const remove = element.remove.bind(element);
  element.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((each) => each !== sheet);
    remove();
  };
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  return element;
}

function styledElement(element: HTMLElement): HTMLElement {
  const set = element.setAttribute.bind(element);
  element.setAttribute = (name, value) => {
    if (name === "style") element.style.cssText = value;
    else set(name, value);
  };
  return element;
}

const maker =
  (make: Make) =>
  (tag: string): HTMLElement =>
    tag.toLowerCase() === "style" ? sheetElement(make) : styledElement(make(tag));

/** A document for the terminal whose elements obey our policy. */
export function documentWithoutInlineStyle(): Document {
  const make: Make = document.createElement.bind(document);
  return new Proxy(document, {
    get(target, name) {
      if (name === "createElement") return maker(make);
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
    set: (target, name, value) => Reflect.set(target, name, value, target),
  });
}

/** Run `work` while the page's own document makes such elements too, for parts that ask it directly. */
export function withoutInlineStyle(work: () => void): void {
  const make: Make = document.createElement.bind(document);
  document.createElement = maker(make) as Make;
  try {
    work();
  } finally {
    Reflect.deleteProperty(document, "createElement");
  }
}
