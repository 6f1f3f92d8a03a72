package clickhouse

import (
	"deskhouse/source"
)

// The types of columns, spelt as system.columns spells them, so that have and
// want compare as text.
const (
	typeID       = "UInt64"
	typeRef      = "Nullable(UInt64)"
	typeInt      = "Nullable(Int64)"
	typeString   = "Nullable(String)"
	typeEnum     = "LowCardinality(Nullable(String))"
	typeBool     = "Nullable(Bool)"
	typeTime     = "Nullable(DateTime64(3, 'UTC'))"
	typeDate     = "Nullable(Date32)"
	typeIDs      = "Array(UInt64)"
	typeInts     = "Array(Int64)"
	typeStrings  = "Array(String)"
	typeInstant  = "DateTime64(3, 'UTC')"
	typeFlag     = "UInt8"
	typeMillis   = "Int64"
	typePlain    = "String"
	typeLabel    = "LowCardinality(String)"
	typeLabels   = "Array(LowCardinality(String))"
	typeTexts    = "Array(Nullable(String))"
	codecText    = "ZSTD(1)"
	decimalScale = 9
	// Nine decimals are the most Zoho's Decimal and Currency fields show (an
	// observed value has nine: "122222.111111111"), which leaves 29 digits
	// before the point. A value with more goes to _extra instead of being cut.
	typeDecimal = "Nullable(Decimal(38, 9))"
)

// columnType is the type of a catalog field; codec is "" for the default.
func columnType(k source.Kind) (typ, codec string) {
	switch k {
	case source.KindID:
		return typeRef, ""
	case source.KindIDs:
		return typeIDs, ""
	case source.KindInt:
		return typeInt, ""
	case source.KindBool:
		return typeBool, ""
	case source.KindTime:
		return typeTime, ""
	case source.KindDate:
		return typeDate, ""
	case source.KindDecimal:
		return typeDecimal, ""
	case source.KindEnum:
		return typeEnum, ""
	case source.KindStrings:
		return typeStrings, ""
	case source.KindText, source.KindJSON:
		return typeString, codecText
	}
	return typeString, ""
}

// elementType is the type of one member of the objects in an array.
func elementType(k source.Kind) string {
	switch k {
	case source.KindID:
		return typeIDs
	case source.KindInt:
		return typeInts
	case source.KindEnum:
		return typeLabels
	}
	return typeStrings
}

// customType is the type of a custom field's column, by Zoho's field type
// (zoho-desk OAS Field.json, FieldOld.json). Every value in cf is a string or
// null (live captures); Multiselect joins labels with ";".
func customType(zohoType string) string {
	switch zohoType {
	case "Number":
		return typeInt
	case "Decimal", "Currency", "Percent":
		return typeDecimal
	case "Boolean", "Checkbox":
		return typeBool
	case "Date":
		return typeDate
	case "DateTime":
		return typeTime
	case "Picklist":
		return typeEnum
	case "Multiselect":
		return typeStrings
	}
	return typeString // Text, Textarea, URL, Email, Phone, AutoNumber, Formula, LookUp, …
}
