package desksim

// The words rows are made of. Everything in the ticket tables is already escaped for JSON.

type status struct{ name, kind string }

// Status names are free in Zoho, the type is one of three (OAS Ticket.json).
var statuses = []status{
	{"Open", "Open"}, {"In Progress", "Open"}, {"Escalated", "Open"}, {"Waiting on Customer", "On Hold"},
	{"On Hold", "On Hold"}, {"Closed", "Closed"}, {"Resolved – à vérifier", "Closed"},
}

const (
	statusOpen   = 0
	statusClosed = 5
)

var (
	priorities      = []string{"", "Low", "Medium", "High"}
	channels        = []string{"Email", "Web", "Phone", "Chat", "Forums", "Twitter"}
	categories      = []string{"", "general", "Billing", "Hardware", "Software", "Versand"}
	subCategories   = []string{"", "Sub General", "Invoice", "Printer", "Installation", "Zustellung"}
	classifications = []string{"", "Question", "Problem", "Feature", "Others"}
	languages       = []string{"English", "German", "French", "Japanese", "Spanish"}
	sentiments      = []string{"", "POSITIVE", "NEUTRAL", "NEGATIVE"}
	relationships   = []string{"", "Parent", "Child"}
)

var subjects = []string{
	"Printer on fire", "Cannot sign in after the update", "Invoice shows the wrong amount", "Lieferung verspätet – bitte prüfen",
	"Question about our contract", "Écran noir au démarrage", "請求書の再発行をお願いします", "App crashes with \\\"unknown error\\\"",
	"Refund not received", "Feature request: dark mode 🌙", "Password reset mail never arrives", "Order is missing one item",
	"Cannot export the yearly report", "Gerät reagiert nicht mehr", "Delay in the processing of orders", "Sync stopped last night",
}

var sentences = []string{
	"<p>Hello team,<br>since this morning the device answers with <b>error 0x80070005</b> and nothing helps.<\\/p>",
	"<p>We tried to restart it twice, then followed the steps of the manual (page 14) without any change.<\\/p>",
	"<p style=\\\"color:#333\\\">Bitte melden Sie sich so schnell wie möglich, die Anlage steht seit gestern Abend still.<\\/p>",
	"<div>Our account manager told us that the invoice would be corrected; it still shows the <i>old<\\/i> amount of 1.249,00 €.<\\/div>",
	"<p>Voici la capture d'écran demandée : <a href=\\\"https://files.example.org/a?id=77&amp;v=2\\\">capture.png</a>.<\\/p>",
	"<ul><li>Version 7.3.1</li><li>Windows 11, build 22631</li><li>Proxy: none</li></ul>",
	"<blockquote>On Monday you wrote: \\\"the fix will be part of the next release\\\". When is that?<\\/blockquote>",
	"<p>お世話になっております。先日の件ですが、まだ解決しておりません。ご確認をお願いいたします。<\\/p>",
	"<p>Twenty people in our office depend on it, so please treat this with high priority. 🙏<\\/p>",
	"<table><tr><td>Order</td><td>4711-08</td></tr><tr><td>Items</td><td>3 of 4 arrived</td></tr></table>",
	"<p>The export stops at 37&nbsp;% and the log says:\\ntimeout while reading block 112\\nretrying in 30s<\\/p>",
	"<p>Kind regards,<br>the night shift<\\/p>",
}

var resolutions = []string{
	"<p>Replaced the power supply, customer confirmed.<\\/p>", "<p>Credit note sent; amount corrected from 1.249,00 € to 1.194,00 €.<\\/p>",
	"<div>Reset the account and explained the new sign-in page.<\\/div>", "<p>Duplicate of an older request, nothing to do.<\\/p>",
}

// Words without any character that the OAS patterns of names and labels refuse.
var (
	firstNames = []string{"Lucas", "Zoë", "Anna", "Jürgen", "Marie", "Hiro", "Ines", "Oleg", "Priya", "Tom", "Björn", "Aiko"}
	lastNames  = []string{"Carol", "Müller", "Tanaka", "Dubois", "Novak", "Singh", "García", "Smith", "Øster", "Rossi", "Kowalski"}
	companies  = []string{"Zylker", "Nordwind", "Blue Harbour", "Kestrel Labs", "Ostsee Druck", "Petit Atelier", "Miyabi", "Granite Works"}
	deptNames  = []string{"Support", "Sales", "Returns", "Billing", "Field Service", "Kundendienst", "Qualité", "Onboarding"}
	teamNames  = []string{"First line", "Night shift", "Hardware", "Escalation", "Spares"}
	goods      = []string{"Printer", "Scanner", "Router", "Headset", "Display", "Tablet", "Label writer", "Dock"}
	makers     = []string{"", "AlphaTech", "Ōsaka Denki", "Nordgerät"}
	groups     = []string{"", "Hardware", "Software", "Service"}
	notes      = []string{"Sold since spring, two years of warranty.", "Ersatz für das Vorgängermodell.", "Ask before shipping abroad!", "Livré avec câble."}
	wordsLatin = []string{"north", "prio A", "straße", "été", "blue", "4711", "see mail", "\\\"quoted\\\"", "tab\\there", "日本", "back\\\\slash", "x;y"}
	tagNames   = []string{"vip", "warranty", "onsite", "épave", "beta", "fragile"}
)
