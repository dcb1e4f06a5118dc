package synth

import (
	"fmt"
	"strings"
)

var firstNames = strings.Fields(`Ada Aiko Alan Alice Amara Amir Ana Andre Anja Anton Arjun Astrid Bao Beatriz Ben Björn Bruno Carla Carlos Chen
	Chiara Chloé Clara Dana Daniel David Dewi Diego Dmitri Elena Elias Emma Erik Esther Eva Farah Felix Fiona Florian Frank Gabriel Grace Greta
	Hana Hannah Haruto Helen Hugo Ida Ines Ingrid Isaac Ivan Jack Jan Jana Jin João Johan Julia Jun Karim Karl Kenji Kira Klaus Lars Laura Lea Leo
	Lin Linh Lucas Lucía Maja Marco Maria Marta Martin Mateo Maya Mei Mia Michael Mila Mina Nadia Nana Naomi Nico Nina Noah Nora Olga Oliver
	Omar Oskar Pablo Paula Pedro Peter Petra Pia Priya Rafael Rahul Renate René Rosa Ruth Ryan Sam Sara Sean Sofia Sota Stefan Sven Tariq Theo
	Thomas Tim Tom Uma Ute Vera Victor Wei Xin Yara Yuki Yusuf Zoe Zofia`)

var lastNames = strings.Fields(`Abbott Adeyemi Aguilar Albrecht Almeida Andersen Arnold Bach Bailey Baker Barros Bauer Becker Bell Berg Bianchi
	Bishop Blanc Boateng Böhm Bosch Brandt Braun Brooks Burke Campbell Carter Castro Chan Chandra Chaudhary Cohen Cole Conti Cooper Costa Cruz
	Dahl Das Delgado Diaz Dubois Duarte Eriksen Esposito Evans Fernandes Ferrari Fischer Fleming Foster Fox Franke Fuchs Fujita García Gibson
	Gonzalez Graf Grant Gray Green Gruber Gupta Haas Hall Hansen Harris Hart Hayashi Hill Hoffmann Holm Huang Hughes Hunt Ibrahim Ito Ivanov Jackson
	Jain Jensen Johansson Jones Kaiser Kapoor Kato Keller Kelly Khan Kim Klein Koch Köhler Kowalski Kraus Krüger Kumar Lang Larsen Lehmann Leroy
	Lim Lindgren Lopez Ludwig Maier Mann Marino Martins Mason Mehta Meyer Mills Mishra Moore Moreau Mori Müller Murphy Murray Nagel Nakamura Nair
	Nguyen Nielsen Novak Okafor Olsen Ortiz Osei Otto Owens Park Patel Pereira Petrov Pfeiffer Pham Pinto Popov Price Quinn Ramos Rao Reddy
	Reid Reyes Richter Rivera Rossi Roth Rubin Ruiz Sakai Salazar Santos Sato Schäfer Schmidt Schneider Scholz Schröder Schwarz Seidel Shah
	Sharma Silva Singh Sommer Song Souza Stein Stone Suzuki Tan Tanaka Taylor Torres Tran Ueda Vargas Vogel Voigt Wagner Walker Wang Ward Watanabe
	Weber Weiß West Winter Wolf Wong Wood Wright Yamada Yilmaz Young Zhang Ziegler Zimmermann`)

// functions are what departments do; a large company has several of each.
var functions = [...]string{
	"Engineering", "Sales", "Support", "Marketing", "Finance", "Human Resources", "IT", "Operations", "Product", "Legal", "Data", "Procurement",
}

// Positions in functions.
const (
	fnEngineering = iota
	fnSales
	fnSupport
	fnMarketing
	fnFinance
	fnHumanResources
	fnIT
	fnOperations
	fnProduct
	fnLegal
	fnData
	fnProcurement
)

var jobs = [...][]string{
	{"Engineer", "Senior Engineer", "Test Engineer"}, {"Account Executive", "Sales Representative"}, {"Support Agent", "Support Specialist"},
	{"Campaign Manager", "Content Editor"}, {"Accountant", "Controller"}, {"Recruiter", "HR Partner"}, {"System Administrator", "Help Desk Analyst"},
	{"Coordinator", "Dispatcher"}, {"Product Manager", "Designer"}, {"Counsel", "Paralegal"}, {"Data Analyst", "Data Engineer"}, {"Buyer", "Category Manager"},
}

func (c *Company) departmentName(d int) string {
	name := functions[d%len(functions)]
	if n := d / len(functions); n > 0 {
		return fmt.Sprintf("%s %d", name, n+1)
	}
	return name
}

var plainLetters = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "ß", "ss", "é", "e", "í", "i", "ã", "a", "á", "a")

func plain(name string) string { return plainLetters.Replace(strings.ToLower(name)) }

// nameOf gives each person another pair of names as long as there are pairs, and then numbers them.
func (c *Company) nameOf(i int) (first, last, suffix string) {
	pairs := len(firstNames) * len(lastNames)
	n := (i%pairs*7919 + int(c.seed%uint64(pairs))) % pairs
	if round := i / pairs; round > 0 {
		suffix = fmt.Sprint(round + 1)
	}
	return firstNames[n%len(firstNames)], lastNames[n/len(firstNames)], suffix
}
