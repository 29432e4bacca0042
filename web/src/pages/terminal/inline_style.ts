// The terminal writes its colours into <style> elements, which our Content-Security-Policy forbids. It is given a
// document whose <style> elements are plain ones that feed a style sheet made by script, which is allowed.

function sheetElement(): HTMLElement {
  const element = document.createElement("ploinky-style");
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

export function documentWithoutInlineStyle(): Document {
  return new Proxy(document, {
    get(target, name) {
      if (name === "createElement") {
        return (tag: string) => (tag.toLowerCase() === "style" ? sheetElement() : target.createElement(tag));
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
    set: (target, name, value) => Reflect.set(target, name, value, target),
  });
}
