// The editor: CodeMirror in a shadow root, where its styles come as style sheets of the document model, which the
// policy of the pages allows; a <style> element in the page it would not.
import {
  EditorState, EditorView, Decoration, HighlightStyle, Prec, SQLDialect, StateEffect, StateField, acceptCompletion,
  autocompletion, bracketMatching, closeBrackets, closeBracketsKeymap, closeCompletion, completionKeymap, defaultKeymap, drawSelection,
  highlightActiveLine, highlightSpecialChars, history, historyKeymap, indentUnit, keymap, lineNumbers, placeholder,
  syntaxHighlighting, tags,
} from "./codemirror.min.js";
import { completions } from "./console-completion.js";
import { functions, joining, reserved, types } from "./sql-words.js";

// Words that DuckDB reserves nowhere, and that a reader takes for a part of the language.
const ALSO = "between by exists explain over partition preceding following unbounded recursive rows values within nulls";

const dialect = SQLDialect.define({
  keywords: `${reserved} ${joining} ${ALSO}`,
  builtin: functions,
  types,
  doubleDollarQuotedStrings: true,
  hashComments: false,
  operatorChars: "*+-%<>!=&|~^/@?:",
  specialVar: "",
  identifierQuotes: '"',
});

const colours = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--accent)", fontWeight: "600" },
  { tag: tags.string, color: "var(--good)" },
  { tag: tags.special(tags.string), color: "var(--ink)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--warn)" },
  { tag: [tags.typeName, tags.standard(tags.name)], color: "var(--code-name)" },
  { tag: tags.comment, color: "var(--ink-soft)", fontStyle: "italic" },
]);

const theme = EditorView.theme({
  "&": { height: "100%", backgroundColor: "var(--raised)", color: "var(--ink)", fontSize: "var(--text-m)" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.6", fontSize: "0.92em" },
  ".cm-content": { padding: "var(--s3) 0", caretColor: "var(--accent)" },
  ".cm-line": { padding: "0 var(--s3)" },
  ".cm-gutters": { backgroundColor: "transparent", color: "var(--ink-soft)", border: "0", paddingLeft: "var(--s2)" },
  ".cm-activeLine": { backgroundColor: "transparent" },
  "&.cm-focused .cm-activeLine": { backgroundColor: "var(--code-line)" },
  ".cm-cursor, .cm-dropCursor": { borderLeftColor: "var(--accent)", borderLeftWidth: "2px" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "var(--code-selection)",
  },
  "&.cm-focused .cm-matchingBracket": { backgroundColor: "var(--code-selection)", outline: "none" },
  ".cm-placeholder": { color: "var(--ink-soft)" },
  ".cm-fault": { textDecoration: "underline wavy var(--bad) 1px", textUnderlineOffset: "0.25em", backgroundColor: "var(--bad-soft)" },
  ".cm-tooltip": {
    backgroundColor: "var(--raised)", color: "var(--ink)", border: "1px solid var(--line)", borderRadius: "var(--round)",
    boxShadow: "0 4px 16px rgb(0 0 0 / 0.12)", overflow: "hidden",
  },
  ".cm-tooltip-below": { marginTop: "4px" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", fontSize: "var(--text-s)", maxHeight: "16em", maxWidth: "min(32rem, 90vw)" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li": { padding: "var(--s1) var(--s3)", lineHeight: "1.5" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--accent-soft)", color: "var(--ink)" },
  ".cm-completionMatchedText": { textDecoration: "none", color: "var(--accent)", fontWeight: "600" },
  ".cm-completionDetail": { color: "var(--ink-soft)", fontStyle: "normal", marginLeft: "var(--s3)" },
});

// Where browsers themselves replace coloured text, they keep its colours in style attributes, which the policy forbids.
const replacing = EditorView.domEventHandlers({
  beforeinput(event, view) {
    const { main } = view.state.selection;
    if (event.inputType !== "insertText" || !event.data || event.isComposing || main.empty) return false;
    const insert = () => view.state.update(view.state.replaceSelection(event.data), { userEvent: "input.type", scrollIntoView: true });
    const handled = view.state.facet(EditorView.inputHandler).some((handle) => handle(view, main.from, main.to, event.data, insert));
    if (!handled) view.dispatch(insert());
    return true;
  },
});

const setFault = StateEffect.define();
const fault = StateField.define({
  create: () => Decoration.none,
  update(shown, change) {
    if (change.docChanged) shown = Decoration.none;
    for (const effect of change.effects) {
      if (effect.is(setFault)) shown = effect.value ? Decoration.set([faultMark.range(...effect.value)]) : Decoration.none;
    }
    return shown;
  },
  provide: (field) => EditorView.decorations.from(field),
});
const faultMark = Decoration.mark({ class: "cm-fault" });

/** Put an editor into `host`. `names` gives the tables that may be read, `columnsOf` those of a product's tables. */
export function mountEditor(host, { text, label, hint, changed, run, names, columnsOf }) {
  const root = host.attachShadow({ mode: "open", delegatesFocus: true });
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: text,
      selection: { anchor: text.length },
      extensions: [
        Prec.highest(keymap.of([{ key: "Mod-Enter", run: (view) => (closeCompletion(view), run(), true) }])),
        // Tab moves on, as everywhere on the page; it only takes a word that is offered.
        keymap.of([{ key: "Tab", run: acceptCompletion }, ...closeBracketsKeymap, ...completionKeymap, ...historyKeymap, ...defaultKeymap]),
        lineNumbers(), history(), drawSelection(), highlightActiveLine(), highlightSpecialChars(), bracketMatching(), closeBrackets(),
        indentUnit.of("  "), EditorView.lineWrapping, placeholder(hint), fault, theme, replacing,
        dialect.extension, syntaxHighlighting(colours),
        autocompletion({ override: [completions({ names, columnsOf })], icons: false, maxRenderedOptions: 60 }),
        EditorView.contentAttributes.of({ "aria-label": label, autocapitalize: "off", autocorrect: "off", spellcheck: "false", tabindex: "0" }),
        EditorView.updateListener.of((update) => update.docChanged && changed(update.state.doc.toString())),
      ],
    }),
  });

  function change(from, to, insert) {
    view.dispatch({ changes: { from, to, insert }, selection: { anchor: from + insert.length }, scrollIntoView: true, userEvent: "input" });
    view.focus();
  }

  return {
    text: () => view.state.doc.toString(),
    focus: () => view.focus(),
    replace: (whole) => change(0, view.state.doc.length, whole),
    /** Give what is selected and where it begins, or everything. */
    chosen() {
      const { from, to, empty } = view.state.selection.main;
      return empty ? { text: view.state.doc.toString(), from: 0 } : { text: view.state.sliceDoc(from, to), from };
    },
    /** Put a name where the cursor is, with a blank before it where words would run together. */
    insert(name) {
      const { from, to } = view.state.selection.main;
      const before = view.state.sliceDoc(Math.max(from - 1, 0), from);
      change(from, to, /[\w",]/.test(before) ? ` ${name}` : name);
    },
    /** Underline from an offset to the end of what stands there; gives whether there is such a place. */
    mark(from, length) {
      const to = Math.min(from + Math.max(length, 1), view.state.doc.length);
      if (from >= to) return false;
      view.dispatch({ effects: setFault.of([from, to]) });
      return true;
    },
    unmark: () => view.dispatch({ effects: setFault.of(null) }),
    goTo(offset) {
      view.dispatch({ selection: { anchor: Math.min(offset, view.state.doc.length) }, scrollIntoView: true });
      view.focus();
    },
  };
}
