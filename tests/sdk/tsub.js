// Asks the real @segment/tsub. Argument: the folder of its installation. Standard input: {matches: [[ir, event]], transforms: [[transformers, event]]}.
const [folder] = process.argv.slice(2)
const { matches, transform } = require(`${folder}/node_modules/@segment/tsub`)
const asked = JSON.parse(require("fs").readFileSync(0, "utf8"))
const told = {
  matches: asked.matches.map(([ir, event]) => matches(event, { type: "fql", ir: JSON.stringify(ir) })),
  transforms: asked.transforms.map(([transformers, event]) => transform(event, transformers)),
}
process.stdout.write(JSON.stringify(told))
