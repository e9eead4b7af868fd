// Stands in for the few parts of Google Charts that TFMA's slicing view calls: a sortable table and a column chart.
// Workaround: TFMA's web components draw through Google Charts, which may only be loaded from Google's servers.
// Cause: the page must be read without a network. Can go when TFMA ships its charts.
"use strict";
(() => {
  const shown = (cell) => (cell !== null && typeof cell === "object" ? cell.f : cell) ?? "";
  const value = (cell) => (cell !== null && typeof cell === "object" ? cell.v : cell);

  class DataTable {
    constructor(header, rows) { Object.assign(this, { header, rows }); }
    getNumberOfRows() { return this.rows.length; }
    sort([{ column }]) { return this.rows.sort((a, b) => value(a[column]) - value(b[column])); }
  }

  class DataView extends DataTable {
    constructor(table) { super(table.header, table.rows); }
    setColumns(columns) {
      const plain = columns.filter((column) => typeof column === "number");
      const pick = (row) => plain.map((column) => row[column]);
      [this.header, this.rows] = [pick(this.header), this.rows.map(pick)];
    }
  }

  class Chart {
    constructor(container) { Object.assign(this, { container, listeners: {}, selection: [] }); }
    getSelection() { return this.selection; }
    setSelection(selection) { this.selection = selection ?? []; }
    on(name, listener) { (this.listeners[name] ??= []).push(listener); }
    emit(name, data) { (this.listeners[name] ?? []).forEach((listener) => listener(data)); }
  }

  class Table extends Chart {
    draw(data) {
      const table = document.createElement("table");
      table.style.cssText = "border-collapse: collapse; font: 13px sans-serif; font-variant-numeric: tabular-nums";
      data.header.forEach((title, column) => {
        const heading = (table.tHead?.rows[0] ?? table.createTHead().insertRow()).appendChild(document.createElement("th"));
        heading.style.cssText = "padding: 4px 10px; text-align: left; border-bottom: 1px solid #333; cursor: pointer";
        heading.textContent = shown(title);
        heading.onclick = () => {
          this.falling = this.column === column && !this.falling;
          this.column = column;
          const sign = this.falling ? -1 : 1;
          const rows = [...data.rows].sort((a, b) => {
            const [one, other] = [value(a[column]), value(b[column])];
            return sign * (one < other ? -1 : one > other ? 1 : 0);
          });
          this.draw(new DataTable(data.header, rows));
        };
      });
      const body = table.createTBody();
      for (const row of data.rows) {
        const line = body.insertRow();
        for (const cell of row) {
          const field = line.insertCell();
          field.style.cssText = "padding: 3px 10px; border-bottom: 1px solid #ddd; vertical-align: top";
          field.innerHTML = shown(cell);
        }
      }
      this.container.style.overflowX = "auto";
      this.container.replaceChildren(table);
      this.emit("ready");
    }
  }

  class ColumnChart extends Chart {
    // TFMA finds the bars by the place that Google's charts give them: the second child of the clipped group; the
    // figures above them are the children of its third next sibling.
    draw(data, { width, height }) {
      const bars = [], figures = [];
      const series = data.header.length - 1;
      const step = width / (data.rows.length * series);
      for (let number = 0; number < series; number++) {
        const counts = data.rows.map((row) => Number(value(row[number + 1])) || 0);
        const scale = (height - 30) / Math.max(...counts, 1e-9);
        counts.forEach((count, index) => {
          const left = (index * series + number) * step;
          const top = height - 1 - count * scale;
          const title = `${shown(data.rows[index][0])}: ${count}`;
          const fill = ["#0072b2", "#d55e00"][number];
          bars.push(`<rect x="${left + 1}" y="${top}" width="${step - 2}" height="${count * scale}" fill="${fill}"><title>${title}</title></rect>`);
          figures.push(`<text x="${left + step / 2}" y="${top - 3}">${Number(count.toPrecision(4))}</text>`);
        });
      }
      this.container.innerHTML = `<div style="font: 12px sans-serif">${data.header.slice(1).map(shown).join(" · ")}</div>
        <svg width="${width}" height="${height}"><g clip-path="none"><g></g><g>${bars.join("")}</g></g><g></g><g></g><g
        style="font: 11px sans-serif; text-anchor: middle">${figures.join("")}</g><path d="M0 ${height - 0.5}H${width}" stroke="#333"/></svg>`;
      this.emit("ready");
    }
  }

  class ChartWrapper extends Chart {
    setChartType(type) { this.kind = { Table, ColumnChart }[type]; }
    setDataTable(data) { this.data = data; }
    setOptions(options) { this.options = options; }
    getChart() { return this.chart ?? null; }
    draw() {
      if (!this.data || !this.kind) return;
      if (!(this.chart instanceof this.kind)) this.chart = new this.kind(this.container);
      this.chart.draw(this.data, this.options);
      this.emit("ready");
    }
  }

  const events = {
    addListener: (target, name, listener) => target.on(name, listener),
    addOneTimeListener: (target, name, listener) => {
      let called = false;
      target.on(name, (data) => { if (!called) { called = true; listener(data); } });
    },
  };
  const visualization = {
    DataTable, DataView, ColumnChart, events,
    ChartWrapper: class extends ChartWrapper { constructor({ container }) { super(container); } },
    arrayToDataTable: ([header, ...rows]) => new DataTable(header, rows),
  };
  window.google = { charts: { load: () => Promise.resolve() }, visualization };
  window.polymerSkipLoadingFontRoboto = true;
})();
