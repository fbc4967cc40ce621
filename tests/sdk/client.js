// Drives the real @segment/analytics-node: makes the calls that the test names and prints, as one JSON document, what the client put on the wire.
// Arguments: the client's folder, the host, the write key, the calls (six or backdated), by how many milliseconds this clock is wrong.
const [folder, host, writeKey, calls, skew] = process.argv.slice(2)

const wrongByMs = Number(skew)
if (wrongByMs !== 0) {
  const RealDate = Date
  globalThis.Date = class extends RealDate {
    constructor(...given) {
      super(...(given.length > 0 ? given : [RealDate.now() + wrongByMs]))
    }
    static now() {
      return RealDate.now() + wrongByMs
    }
  }
}

const { Analytics } = require(`${folder}/node_modules/@segment/analytics-node`)
const analytics = new Analytics({ writeKey, host, flushInterval: 100 })
const sent = []
const errors = []
analytics.on('http_request', ({ body }) => sent.push(JSON.parse(typeof body === 'string' ? body : JSON.stringify(body))))
analytics.on('error', (error) => errors.push({ code: error.code, reason: String(error.reason) }))

const scripts = {
  six() {
    analytics.identify({ userId: 'user-1', traits: { email: 'ada@example.com', plan: 'pro', signedUpAt: new Date('2026-01-02T03:04:05.678Z') } })
    analytics.track({
      userId: 'user-1',
      event: 'Order Completed',
      properties: {
        order_id: 'o-1',
        revenue: 25.5,
        currency: 'EUR',
        products: [{ product_id: 'p-1', price: 25.5, quantity: 1 }],
        note: 'Žluťoučký 🐎',
        nothing: null,
      },
      context: { ip: '203.0.113.7', userAgent: 'made-up/1.0' },
      integrations: { All: true, Mixpanel: false, Amplitude: { session_id: 1767323045678 } },
    })
    analytics.page({ userId: 'user-1', category: 'Docs', name: 'Install', properties: { url: 'https://shop.example/docs', path: '/docs' } })
    analytics.screen({ anonymousId: 'anon-1', category: 'Checkout', name: 'Cart', properties: { items: 2 } })
    analytics.group({ userId: 'user-1', groupId: 'group-1', traits: { name: 'Initech', employees: 42 } })
    analytics.alias({ userId: 'user-1', previousId: 'anon-1' })
  },
  backdated() {
    analytics.track({ userId: 'user-1', event: 'Order Completed', timestamp: new Date(Date.now() - 400 * 86400 * 1000) })
  },
}

scripts[calls]()
analytics.closeAndFlush({ timeout: 20000 }).then(() => {
  process.stdout.write(JSON.stringify({ sent, errors }))
})
