(()=>{function r(t){return t.map(n=>e(n)).join(`
`)}function e(t){return`<article id="w${t.id}"><h2>${t.title}</h2></article>`}async function i(t){let n=await fetch(`/api/widgets?tenant=${t}`);if(!n.ok)throw new Error(`widgets of ${t}: ${n.status}`);return n.json()}async function o(t){let{widgets:n}=await i(t);return r(n)}globalThis.openWorkBench=o;})();
//# sourceMappingURL=app.js.map
